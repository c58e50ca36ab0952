output "name" {
  description = "Name of the table."
  value       = aws_dynamodb_table.this.name
}

output "arn" {
  description = "ARN of the table."
  value       = aws_dynamodb_table.this.arn
}

output "index_arn" {
  description = "ARN of the index of what waits."
  value       = "${aws_dynamodb_table.this.arn}/index/waiting"
}
