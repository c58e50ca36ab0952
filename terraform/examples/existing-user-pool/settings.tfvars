environment       = "prod"
region            = "eu-central-1"
account_id        = "123456789012"
front_end_origins = ["https://app.example.com"]

# The output `user_pool` of this folder, or the ids of a client that you have.
user_pool = {
  id        = "eu-central-1_AbCdEfGhI"
  client_id = "1h57kf5cpq17m0eml12EXAMPLE"
}
