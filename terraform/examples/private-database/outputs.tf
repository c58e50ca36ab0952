output "database" {
  description = "Value of `database` in the settings, but for `url_parameter_name`."
  value = {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.function.id]
  }
}
