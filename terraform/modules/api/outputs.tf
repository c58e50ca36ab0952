output "id" {
  description = "Id of the API."
  value       = aws_apigatewayv2_api.this.id
}

output "endpoint" {
  description = "API Gateway's own address of the API, without a slash at the end."
  value       = aws_apigatewayv2_api.this.api_endpoint
}

output "own_name_disabled" {
  description = "Whether the API answers under its custom domain alone."
  value       = aws_apigatewayv2_api.this.disable_execute_api_endpoint
}

output "log_group_name" {
  description = "Log group of the access logs."
  value       = aws_cloudwatch_log_group.this.name
}

output "domain_target" {
  description = "Name and hosted zone that the custom domain stands for; null without one."
  value = var.domain_name == null ? null : {
    name    = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].target_domain_name
    zone_id = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].hosted_zone_id
  }
}
