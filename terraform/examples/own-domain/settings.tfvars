environment       = "prod"
region            = "eu-central-1"
account_id        = "123456789012"
front_end_origins = ["https://app.example.com"]

# Serves api.avatars.example.com and assets.avatars.example.com, in the zone example.com.
domain_name      = "avatars.example.com"
hosted_zone_name = "example.com"
