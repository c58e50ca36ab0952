# What the pipeline expects of a pool: a client without a secret.

resource "aws_cognito_user_pool_client" "this" {
  name         = "avatars"
  user_pool_id = var.user_pool_id

  generate_secret = false
  explicit_auth_flows = [
    "ALLOW_USER_SRP_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
    "ALLOW_ADMIN_USER_PASSWORD_AUTH", # for test users, by the operators' AWS permissions
  ]

  prevent_user_existence_errors = "ENABLED"
  enable_token_revocation       = true
}
