mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name = "faces-test-reviews"
}

run "lists_what_waits_oldest_first" {
  module {
    source = "./modules/reviews"
  }

  assert {
    condition = (
      aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST" &&
      aws_dynamodb_table.this.hash_key == "name" && aws_dynamodb_table.this.range_key == "version"
    )
    error_message = "One item for each version of an avatar, paid for by use."
  }

  assert {
    condition = (
      one(aws_dynamodb_table.this.global_secondary_index).hash_key == "queue" &&
      one(aws_dynamodb_table.this.global_secondary_index).range_key == "since" &&
      one(aws_dynamodb_table.this.global_secondary_index).projection_type == "KEYS_ONLY"
    )
    error_message = "What waits should be found in the order of its time, without what is said of it."
  }

  assert {
    condition     = one(aws_dynamodb_table.this.ttl).attribute_name == "expires" && one(aws_dynamodb_table.this.ttl).enabled
    error_message = "What was decided long ago should expire."
  }
}
