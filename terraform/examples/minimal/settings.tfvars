# The least that an environment needs: everything else has a default.
environment       = "prod"
region            = "eu-central-1"
front_end_origins = ["https://app.example.com"]
