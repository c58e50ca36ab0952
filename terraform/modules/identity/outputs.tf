output "user_pool" {
  description = "Ids of the user pool, of the front end's client, and of the others."
  value = {
    id               = aws_cognito_user_pool.this.id
    client_id        = aws_cognito_user_pool_client.this["front-end"].id
    other_client_ids = [for name in var.other_app_clients : aws_cognito_user_pool_client.this[name].id]
    other_issuers    = []
    make_groups      = true
  }
}
