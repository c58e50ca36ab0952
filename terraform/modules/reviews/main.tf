# What is held before it is shown, or was reported: one item for each version, which expires.

resource "aws_dynamodb_table" "this" {
  #checkov:skip=CKV_AWS_28:What waits is found again by make reconcile, what was refused by its tag, and the audit keeps each decision
  #checkov:skip=CKV_AWS_119:Encrypted by DynamoDB's own key; it holds names, and what users say of a picture
  #checkov:skip=CKV2_AWS_16:On demand: there is no capacity to scale
  name         = var.name
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "name"
  range_key    = "version"

  attribute {
    name = "name"
    type = "S"
  }

  attribute {
    name = "version"
    type = "S"
  }

  attribute {
    name = "queue"
    type = "S"
  }

  attribute {
    name = "since"
    type = "N"
  }

  # Only what waits has a `queue`.
  global_secondary_index {
    name            = "waiting"
    hash_key        = "queue"
    range_key       = "since"
    projection_type = "KEYS_ONLY"
  }

  ttl {
    attribute_name = "expires"
    enabled        = true
  }
}
