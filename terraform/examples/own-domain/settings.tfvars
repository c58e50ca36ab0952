environment       = "prod"
region            = "eu-central-1"
front_end_origins = ["https://app.example.com"]

# Serves api.avatars.example.com and assets.avatars.example.com, in the zone example.com.
domain_name      = "avatars.example.com"
hosted_zone_name = "example.com"
