output "name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "alias" {
  description = "Name of the alias that everybody calls."
  value       = aws_lambda_alias.this.name
}

output "arn" {
  description = "ARN of the alias."
  value       = aws_lambda_alias.this.arn
}

output "invoke_arn" {
  description = "ARN by which API Gateway calls the alias."
  value       = aws_lambda_alias.this.invoke_arn
}

output "timeout" {
  description = "Seconds after which a call is stopped."
  value       = aws_lambda_function.this.timeout
}

output "policy" {
  description = "What the role may do, as JSON."
  value       = aws_iam_role_policy.this.policy
}
