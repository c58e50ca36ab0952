mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name = "faces-test"
}

run "signs_people_in_by_a_verified_address" {
  module {
    source = "./modules/identity"
  }

  assert {
    condition = (
      aws_cognito_user_pool.this.username_attributes == toset(["email"]) &&
      aws_cognito_user_pool.this.auto_verified_attributes == toset(["email"])
    )
    error_message = "People should sign in by a verified address."
  }

  assert {
    condition     = aws_cognito_user_pool.this.mfa_configuration == "OPTIONAL" && one(aws_cognito_user_pool.this.software_token_mfa_configuration).enabled
    error_message = "People should be able to add a second factor."
  }

  assert {
    condition     = one(aws_cognito_user_pool.this.password_policy).minimum_length == 12
    error_message = "Passwords should have at least 12 characters."
  }

  assert {
    condition     = aws_cognito_user_pool.this.deletion_protection == "ACTIVE"
    error_message = "All users would be deleted with the pool without another question."
  }

}

run "gives_front_ends_a_client_without_secret" {
  module {
    source = "./modules/identity"
  }

  assert {
    condition     = !aws_cognito_user_pool_client.this["front-end"].generate_secret
    error_message = "A browser can't keep a secret."
  }

  assert {
    condition = aws_cognito_user_pool_client.this["front-end"].explicit_auth_flows == toset([
      "ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    ])
    error_message = "A flow too many or too few is open."
  }

  assert {
    condition = (
      aws_cognito_user_pool_client.this["front-end"].access_token_validity == 1 &&
      one(aws_cognito_user_pool_client.this["front-end"].token_validity_units).access_token == "hours"
    )
    error_message = "An access token should be good for one hour."
  }

  assert {
    condition     = aws_cognito_user_pool_client.this["front-end"].prevent_user_existence_errors == "ENABLED"
    error_message = "Anyone could find out who has an account."
  }

  assert {
    condition     = output.user_pool.id == "eu-central-1_MadeHere1" && output.user_pool.client_id == "clientmadehere"
    error_message = "The ids given should be those of the pool and its client."
  }
}

run "may_be_deleted_where_told_so" {
  module {
    source = "./modules/identity"
  }

  variables {
    deletion_protection = false
  }

  assert {
    condition     = aws_cognito_user_pool.this.deletion_protection == "INACTIVE"
    error_message = "The pool should go with its environment."
  }
}

run "costs_no_more_than_what_is_used" {
  module {
    source = "./modules/identity"
  }

  assert {
    condition     = aws_cognito_user_pool.this.user_pool_tier == "LITE" && length(aws_cognito_user_pool.this.email_configuration) == 0
    error_message = "A new pool should be of the plan that has what is used, and send Cognito's own mail."
  }
}

run "takes_a_sender_and_the_clients_of_other_applications" {
  module {
    source = "./modules/identity"
  }

  variables {
    other_app_clients = ["ios", "android"]

    email = {
      source_arn = "arn:aws:ses:eu-central-1:123456789012:identity/example.com"
      from       = "no-reply@example.com"
    }
  }

  assert {
    condition     = one(aws_cognito_user_pool.this.email_configuration).email_sending_account == "DEVELOPER"
    error_message = "With an identity the pool should send by SES."
  }

  assert {
    condition     = keys(aws_cognito_user_pool_client.this) == ["android", "front-end", "ios"] && length(output.user_pool.other_client_ids) == 2
    error_message = "Each application should have a client of its own, and the authorizer learn of it."
  }
}
