output "role_arn" {
  description = "ARN of the role that a job is given."
  value       = aws_iam_role.this.arn
}
