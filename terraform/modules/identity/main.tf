resource "aws_cognito_user_pool" "this" {
  name                     = var.name
  username_attributes      = ["email"]
  auto_verified_attributes = ["email"]
  deletion_protection      = var.deletion_protection ? "ACTIVE" : "INACTIVE"
  mfa_configuration        = "OPTIONAL"
  user_pool_tier           = var.tier

  dynamic "email_configuration" {
    for_each = var.email == null ? [] : [var.email]

    content {
      email_sending_account = "DEVELOPER"
      source_arn            = email_configuration.value.source_arn
      from_email_address    = email_configuration.value.from
    }
  }

  username_configuration {
    case_sensitive = false
  }

  # A new address takes effect once it is verified; until then the old one stays.
  user_attribute_update_settings {
    attributes_require_verification_before_update = ["email"]
  }

  software_token_mfa_configuration {
    enabled = true
  }

  password_policy {
    minimum_length                   = 12
    require_lowercase                = true
    require_uppercase                = true
    require_numbers                  = true
    require_symbols                  = true
    temporary_password_validity_days = 3
  }

  account_recovery_setting {
    recovery_mechanism {
      name     = "verified_email"
      priority = 1
    }
  }
}

resource "aws_cognito_user_pool_client" "this" {
  for_each = toset(concat(["front-end"], var.other_app_clients))

  name         = each.key
  user_pool_id = aws_cognito_user_pool.this.id

  # A browser can't keep a secret; the password itself is only for administrators' tools.
  generate_secret = false
  explicit_auth_flows = [
    "ALLOW_USER_SRP_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
  ]

  prevent_user_existence_errors = "ENABLED"
  enable_token_revocation       = true
  access_token_validity         = 1
  id_token_validity             = 1
  refresh_token_validity        = 30

  token_validity_units {
    access_token  = "hours"
    id_token      = "hours"
    refresh_token = "days"
  }
}

moved {
  from = aws_cognito_user_pool_client.this
  to   = aws_cognito_user_pool_client.this["front-end"]
}
