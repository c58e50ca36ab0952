output "user_pool" {
  description = "Ids of the user pool and of the front end's client."
  value = {
    id        = aws_cognito_user_pool.this.id
    client_id = aws_cognito_user_pool_client.this.id
  }
}
