# The least that an environment needs: everything else has a default.
environment       = "prod"
region            = "eu-central-1"
account_id        = "123456789012"
front_end_origins = ["https://app.example.com"]
