# What each user has sent lately, and who is locked out: one item a user, which expires.

resource "aws_dynamodb_table" "this" {
  #checkov:skip=CKV_AWS_28:Counts of the last days and locks, of which the audit keeps a record: nothing that is missed after a loss
  #checkov:skip=CKV_AWS_119:Encrypted by DynamoDB's own key; it holds users' ids and counts
  #checkov:skip=CKV2_AWS_16:On demand: there is no capacity to scale
  name         = var.name
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "user"

  attribute {
    name = "user"
    type = "S"
  }

  ttl {
    attribute_name = "expires"
    enabled        = true
  }
}
