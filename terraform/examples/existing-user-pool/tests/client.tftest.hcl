mock_provider "aws" {}

variables {
  user_pool_id = "eu-central-1_AbCdEfGhI"
}

run "makes_a_client_that_a_browser_and_make_upload_can_use" {
  command = plan

  assert {
    condition = aws_cognito_user_pool_client.this.explicit_auth_flows == toset([
      "ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    ])
    error_message = "Browsers sign in by SRP, test users by the operators' permissions."
  }

  assert {
    condition     = aws_cognito_user_pool_client.this.generate_secret == false
    error_message = "A browser can't keep a secret."
  }
}
