mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "faces-test"
  allowed_origins        = ["https://app.example.com"]
  allowed_headers        = ["authorization", "content-type", "traceparent"]
  authorizer_ttl_seconds = 300
  throttling             = { rate_limit = 10, burst_limit = 20 }
  log_retention_days     = 7

  authorizer_function = {
    name       = "faces-test-authorizer"
    alias      = "live"
    invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/authorizer/invocations"
  }

  functions = {
    one = {
      name       = "faces-test-one"
      alias      = "live"
      invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/one/invocations"
    }
  }

  routes = {
    "POST /things/add"     = { function = "one", authorized = true }
    "GET /things/{handle}" = { function = "one", authorized = false }
  }
}

run "asks_for_a_token_where_told_to" {
  module {
    source = "./modules/api"
  }

  assert {
    condition = (
      aws_apigatewayv2_route.this["POST /things/add"].authorization_type == "CUSTOM" &&
      aws_apigatewayv2_route.this["POST /things/add"].authorizer_id == aws_apigatewayv2_authorizer.this.id
    )
    error_message = "An authorized route should ask the authorizer."
  }

  assert {
    condition     = aws_apigatewayv2_route.this["GET /things/{handle}"].authorization_type == "NONE"
    error_message = "An open route should be open."
  }

  assert {
    condition = (
      aws_apigatewayv2_authorizer.this.enable_simple_responses &&
      aws_apigatewayv2_authorizer.this.authorizer_payload_format_version == "2.0" &&
      aws_apigatewayv2_authorizer.this.authorizer_result_ttl_in_seconds == 300 &&
      aws_apigatewayv2_authorizer.this.identity_sources == toset(["$request.header.Authorization"])
    )
    error_message = "The authorizer should answer simply, and be asked once per token in the time given."
  }
}

run "calls_each_function_for_its_routes_only" {
  module {
    source = "./modules/api"
  }

  assert {
    condition = {
      for key, permission in aws_lambda_permission.route : key => [permission.statement_id, permission.source_arn] if permission.qualifier == "live"
      } == {
      "POST /things/add"     = ["CallForRoutePOSTThingsAdd", "arn:aws:execute-api:eu-central-1:123456789012:api123/*/POST/things/add"]
      "GET /things/{handle}" = ["CallForRouteGETThingsHandle", "arn:aws:execute-api:eu-central-1:123456789012:api123/*/GET/things/{handle}"]
    }
    error_message = "API Gateway should be allowed to call a function for exactly its routes."
  }

  assert {
    condition     = aws_lambda_permission.authorizer.source_arn == "arn:aws:execute-api:eu-central-1:123456789012:api123/authorizers/authorizer1"
    error_message = "API Gateway should be allowed to call the authorizer as such only."
  }
}

run "bounds_and_logs_requests" {
  module {
    source = "./modules/api"
  }

  assert {
    condition = (
      one(aws_apigatewayv2_stage.this.default_route_settings).throttling_rate_limit == 10 &&
      one(aws_apigatewayv2_stage.this.default_route_settings).throttling_burst_limit == 20
    )
    error_message = "The stage should take as many requests as asked for."
  }

  assert {
    condition     = jsondecode(one(aws_apigatewayv2_stage.this.access_log_settings).format).request_id == "$context.requestId"
    error_message = "An access log line should be JSON with the request's id."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 7
    error_message = "Access logs should be kept as long as asked for."
  }

  assert {
    condition     = one(aws_apigatewayv2_api.this.cors_configuration).allow_origins == toset(["https://app.example.com"])
    error_message = "CORS should admit the given origins only."
  }

  assert {
    condition     = one(aws_apigatewayv2_api.this.cors_configuration).allow_headers == toset(["authorization", "content-type", "traceparent"])
    error_message = "Pages send these two headers."
  }
}

run "serves_under_its_own_name" {
  module {
    source = "./modules/api"
  }

  assert {
    condition     = length(aws_apigatewayv2_domain_name.this) == 0 && length(aws_apigatewayv2_api_mapping.this) == 0 && output.domain_target == null
    error_message = "Without a domain there should be none."
  }
}

run "serves_under_a_domain" {
  module {
    source = "./modules/api"
  }

  variables {
    domain_name     = "api.example.com"
    certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/one"
  }

  assert {
    condition = (
      aws_apigatewayv2_domain_name.this[0].domain_name == "api.example.com" &&
      one(aws_apigatewayv2_domain_name.this[0].domain_name_configuration).certificate_arn == var.certificate_arn &&
      one(aws_apigatewayv2_domain_name.this[0].domain_name_configuration).security_policy == "TLS_1_2"
    )
    error_message = "The domain should be served with its certificate, from TLS 1.2 on."
  }

  assert {
    condition     = aws_apigatewayv2_api_mapping.this[0].stage == aws_apigatewayv2_stage.this.id
    error_message = "The domain should lead to the stage."
  }
}

run "refuses_a_certificate_without_a_domain" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/one"
  }

  expect_failures = [var.domain_name]
}

run "refuses_a_route_to_nowhere" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    routes = {
      "GET /" = { function = "two", authorized = false }
    }
  }

  expect_failures = [var.routes]
}

run "refuses_a_memory_longer_than_an_hour" {
  command = plan

  module {
    source = "./modules/api"
  }

  variables {
    authorizer_ttl_seconds = 3601
  }

  expect_failures = [var.authorizer_ttl_seconds]
}
