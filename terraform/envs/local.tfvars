# The embedded AWS on one's own machine. What depends on its port (service_urls, jwks_url) and on
# its Python (artifacts_directory) comes as TF_VAR_… at run time.

environment       = "local"
region            = "eu-central-1"
domain_name       = "avatars.test"
front_end_origins = ["http://localhost:3000"]

database = {
  url_parameter_name = "/avatar-ops/local/database-url"
}

# A process per concurrent call runs on this machine's own processors.
resize = {
  maximum_concurrency = 2
  timeout             = 15
  maximum_receives    = 3
}

# With a route for reports and the page Review. Uploads are not held: set "all" to try that.
moderation = "reports"

# As short as may be, for nobody waits 15 minutes on a developer's machine.
replaced_image_seconds = 40

# The alarm topics, so that they are there everywhere; no mail is sent.
alarm_email = "operators@example.com"

allow_http_webhook            = true
log_retention_days            = 7
user_pool_deletion_protection = false

# The emulator speaks plain HTTP, on one host name.
deny_insecure_transport = false
s3_use_path_style       = true
viewer_protocol_policy  = "allow-all"
wait_for_cdn            = false
