resource "aws_apigatewayv2_api" "this" {
  name          = var.name
  description   = "Upload addresses and profiles."
  protocol_type = "HTTP"

  # One origin: nothing reaches it but by the domain.
  disable_execute_api_endpoint = var.disable_own_name

  cors_configuration {
    allow_origins  = var.allowed_origins
    allow_methods  = ["GET", "POST", "DELETE"]
    allow_headers  = var.allowed_headers
    expose_headers = ["retry-after"]
    max_age        = 3600
  }
}

resource "aws_apigatewayv2_authorizer" "this" {
  api_id                            = aws_apigatewayv2_api.this.id
  name                              = "access-token"
  authorizer_type                   = "REQUEST"
  authorizer_uri                    = var.authorizer_function.invoke_arn
  authorizer_payload_format_version = "2.0"
  authorizer_result_ttl_in_seconds  = var.authorizer_ttl_seconds
  enable_simple_responses           = true
  identity_sources                  = ["$request.header.Authorization"]

  lifecycle {
    # Only JWT authorizers have one; the emulator reads it back empty all the same.
    ignore_changes = [jwt_configuration]
  }
}

resource "aws_lambda_permission" "authorizer" {
  statement_id  = "CallAsAuthorizer"
  function_name = var.authorizer_function.name
  qualifier     = var.authorizer_function.alias
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/authorizers/${aws_apigatewayv2_authorizer.this.id}"
}

resource "aws_apigatewayv2_integration" "this" {
  for_each = var.functions

  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = each.value.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "this" {
  #checkov:skip=CKV_AWS_309:A route without the authorizer is open by contract: anyone may read a profile
  for_each = var.routes

  api_id             = aws_apigatewayv2_api.this.id
  route_key          = each.key
  target             = "integrations/${aws_apigatewayv2_integration.this[each.value.function].id}"
  authorization_type = each.value.authorized ? "CUSTOM" : "NONE"
  authorizer_id      = each.value.authorized ? aws_apigatewayv2_authorizer.this.id : null
}

resource "aws_lambda_permission" "route" {
  for_each = var.routes

  statement_id  = "CallForRoute${replace(title(replace(each.key, "/[^0-9A-Za-z]+/", " ")), " ", "")}"
  function_name = var.functions[each.value.function].name
  qualifier     = var.functions[each.value.function].alias
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  # stage/method/path, a path's parameters as they are written in the route.
  source_arn = "${aws_apigatewayv2_api.this.execution_arn}/*/${replace(each.key, " ", "")}"
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:Retention is a setting; the logs hold addresses of people, which are not to be kept for a year by default
  # Under this prefix API Gateway's right to write is not bound by the size of a policy.
  name              = "/aws/vendedlogs/apigateway/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn
}

resource "aws_apigatewayv2_stage" "this" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.this.arn

    format = jsonencode({
      request_id         = "$context.requestId"
      time               = "$context.requestTime"
      ip                 = "$context.identity.sourceIp"
      method             = "$context.httpMethod"
      route              = "$context.routeKey"
      status             = "$context.status"
      latency_ms         = "$context.responseLatency"
      integration_status = "$context.integrationStatus"
      integration_error  = "$context.integrationErrorMessage"
      authorizer_error   = "$context.authorizer.error"
    })
  }

  default_route_settings {
    throttling_rate_limit  = var.throttling.rate_limit
    throttling_burst_limit = var.throttling.burst_limit
  }
}

resource "aws_apigatewayv2_domain_name" "this" {
  count = var.domain_name == null ? 0 : 1

  domain_name = var.domain_name

  domain_name_configuration {
    certificate_arn = var.certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
}

resource "aws_apigatewayv2_api_mapping" "this" {
  count = var.domain_name == null ? 0 : 1

  api_id      = aws_apigatewayv2_api.this.id
  domain_name = aws_apigatewayv2_domain_name.this[0].id
  stage       = aws_apigatewayv2_stage.this.id
}
