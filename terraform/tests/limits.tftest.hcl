mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name = "faces-test-limits"
}

run "forgets_users_who_send_nothing" {
  module {
    source = "./modules/limits"
  }

  assert {
    condition     = aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST" && aws_dynamodb_table.this.hash_key == "user"
    error_message = "One item a user, paid for by use."
  }

  assert {
    condition     = one(aws_dynamodb_table.this.ttl).attribute_name == "expires" && one(aws_dynamodb_table.this.ttl).enabled
    error_message = "What nobody needs any longer should expire."
  }
}
