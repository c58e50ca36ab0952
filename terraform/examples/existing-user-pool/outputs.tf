output "user_pool" {
  description = "Value of `user_pool` in the settings."
  value = {
    id        = var.user_pool_id
    client_id = aws_cognito_user_pool_client.this.id
  }
}
