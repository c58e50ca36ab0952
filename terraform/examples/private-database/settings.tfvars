environment       = "prod"
region            = "eu-central-1"
account_id        = "123456789012"
front_end_origins = ["https://app.example.com"]

# The output `database` of this folder. The URL itself is in the parameter, never here.
database = {
  url_parameter_name = "/avatar-ops/prod/database-url"
  subnet_ids         = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]
  security_group_ids = ["sg-0123456789abcdef0"]
}
