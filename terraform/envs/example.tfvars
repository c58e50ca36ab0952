# Settings of one environment on AWS. Copy to <ENV>.tfvars, keep what you change, then:
#
#   make bootstrap plan apply ENV=<ENV>
#
# A line that is commented out shows the value that holds without it, or, after "null", an example.

# ── Names ────────────────────────────────────────────────────────────────────────────────────

# Every resource is named <project>-<environment>-…; two environments can share an account.
# project = "avatar-ops"
environment = "prod"

# Everything stands here, but for CloudFront and its certificate, which are in us-east-1.
region = "eu-central-1"

# The AWS account of this environment: with the credentials of another, every command refuses.
account_id = "123456789012"

# With a domain, the API is served at api.<domain_name> and images at assets.<domain_name>,
# each with a certificate made and renewed for it. Without one (null), API Gateway's and
# CloudFront's own names are used.
domain_name = "example.com"

# The public Route 53 zone for these names must exist; say which if it isn't named like the
# domain, such as "example.com" for avatars.example.com.
# hosted_zone_name = null

# Its id, if the account has two public zones of that name.
# hosted_zone_id = null # "Z0123456789ABCDEFGHIJ"

# The web pages that may call the API, upload, and read an image's bytes. Exact origins only:
# scheme, host and perhaps a port.
front_end_origins = ["https://example.com"]

# Where operators open the console, if its profile page is to upload too.
# console_origins = ["http://127.0.0.1:8501"]

# ── Functions ────────────────────────────────────────────────────────────────────────────────

# Where `make build` puts the zips.
# artifacts_directory = "../build/aws"

# The resize function: MB (a whole processor comes with 1769, a share of it with less), seconds
# before a call is stopped, batches of up to five uploads worked on at once (keep it below the
# account's quota of concurrent executions, which new accounts have at 10), and how often an upload
# is tried before it goes to the dead-letter queue (a throttled call counts as one; AWS advises
# at least 5).
# resize = {
#   memory_size         = 1769
#   timeout             = 30
#   maximum_concurrency = 20
#   maximum_receives    = 8
# }

# ── Avatars ──────────────────────────────────────────────────────────────────────────────────

# How many pictures a user may send; above that, an address is refused and a picture that comes all
# the same is rejected.
# upload_limits = {
#   per_10_minutes = 20
#   per_day        = 100
# }

# Which pictures operators look at, on the console's page Review: "off"; "reports", those that users
# report; "suspicious", also each that a verdict function holds before it is shown; "all", each before
# it is shown. What was off and is on again holds what comes from then on.
# moderation = "off"

# The verdict function, a Lambda function of yours in the region (docs/contract.md says what it is
# asked), or one of Amazon Rekognition that is made here, for 1,000 USD a million uploads.
# moderation_verdict_function_arn = null # "arn:aws:lambda:eu-central-1:123456789012:function:judge"
# moderation_rekognition          = null # { confidence = 60, labels = ["Explicit", "Violence"] }

# Reports that a user may send in a day; days for which what was held or reported is kept; hours after
# which the oldest makes an alarm; seconds that the verdict function has, and what becomes of an upload
# of which it says nothing: hold or show.
# moderation_settings = {
#   reports_per_day         = 20
#   review_days             = 90
#   oldest_hours            = 24
#   verdict_timeout_seconds = 3
#   verdict_on_failure      = "hold"
# }

# Whether `make reprocess`, which makes everything again after a change of variants or of the engine,
# has S3 Batch Operations call `resize` rather than use the queue; days for which its report is kept.
# reprocess = { enabled = false, report_days = 30 }

# Whether S3 lists the assets bucket each day (0.0025 USD a million objects), so that
# `make reconcile INVENTORY=1` asks only for what may be missing; days for which a list is kept.
# inventory = { enabled = false, days = 7 }

# How long the images of a picture that was replaced or removed stay, in seconds, for pages that
# show them: at least twice the resize function's timeout and 10, at most 900.
# replaced_image_seconds = 900

# Edge lengths in pixels, and the formats of each: jpg, webp, avif. PUTs are the largest item of
# the bill, and each pair is one per upload. Front ends of before version 0.2 need 512.jpg.
# avatar_variants = { "512" = ["jpg"], "128" = ["webp"] }

# Those of banners: widths in pixels that 3 divides, the height is a third.
# banner_variants = { "1500" = ["jpg"], "600" = ["webp"] }

# Before version 0.2 it was each size in each format; these are accepted until version 0.3.
# avatar_sizes   = null
# avatar_formats = null

# Larger uploads are refused before they are sent.
# max_upload_bytes = 26214400

# ── Users ────────────────────────────────────────────────────────────────────────────────────

# The Cognito pool whose users upload. Null makes one; an application with a pool of its own, in
# any region, names it: { id = "eu-central-1_AbCdEfGhI", client_id = "1h57kf5cpq17m0eml12EXAMPLE" }.
# `other_client_ids` lists the clients of its other applications, `other_issuers` what else stands
# in its tokens' iss (a replica's region, the newer issuer-cognito-idp), and `make_groups = false`
# leaves out the console's groups. What the commands need of such a pool: docs/configuration.md.
# user_pool = null

# App clients of a pool made here besides the front end's, such as ["ios", "android"].
# other_app_clients = []

# The plan of a pool made here: LITE has all that is used, ESSENTIALS and PLUS cost three times as
# much and more.
# user_pool_tier = "LITE"

# Cognito itself sends 50 mails a day for the whole account: with more sign-ups give an SES identity,
# { source_arn = "arn:aws:ses:eu-central-1:123456789012:identity/example.com", from = "Avatars <no-reply@example.com>" }
# user_pool_email = null

# What else an access token must be: seconds by which clocks may differ, a Cognito group, a scope.
# authorizer = {
#   clock_tolerance_seconds = 0
#   required_group          = null
#   required_scope          = null
# }

# A pool made here holds all its users: a destroy must first turn this off.
# user_pool_deletion_protection = true

# Where the pool's public keys are, if not at Cognito's own address; %s stands for its id.
# jwks_url = null

# ── API ──────────────────────────────────────────────────────────────────────────────────────

# The authorizer's result for a token is cached for so many seconds (0 to 3600). Longer saves calls
# of the authorizer; a token that expires meanwhile goes on working until the cache forgets it.
# authorizer_ttl_seconds = 300

# Headers that pages may send to the API besides Authorization and Content-Type; without a value,
# those that the usual tracing libraries add by themselves (variables.tf lists them).
# cors_request_headers = null # ["baggage", "sentry-trace", "x-requested-with"]

# Requests per second, and at once, before the API answers 429.
# api_throttling = {
#   rate_limit  = 100
#   burst_limit = 200
# }

# ── Database ─────────────────────────────────────────────────────────────────────────────────

# Postgres, for profiles. Null leaves profiles out: uploading and serving need no database.
# Put its URL into an SSM SecureString first; the URL itself never comes near Terraform. Give
# the key unless it is AWS's own, and the network if the database is private (the network then
# needs a way to SSM and S3).
# database = null
database = {
  url_parameter_name = "/avatar-ops/prod/database-url"
  # kms_key_arn        = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  # subnet_ids         = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]
  # security_group_ids = ["sg-0123456789abcdef0"]

  # Each call that runs holds a connection: bound them by what Postgres, or its proxy, admits.
  # Reserved from the account's quota, so a new account can't.
  # maximum_concurrency = 50
}

# ── Webhook ──────────────────────────────────────────────────────────────────────────────────

# Notified of each new or removed avatar by SNS's own messages, signed by AWS, after it has
# confirmed the subscription. HTTPS, unless the second setting allows otherwise.
# webhook_url        = null
# allow_http_webhook = false

# ── Observability ────────────────────────────────────────────────────────────────────────────

# Who is notified of alarms: an address (AWS asks it to confirm, once for each of two regions), and
# SNS topics that exist already, in the region or, for CloudFront's alarm, in us-east-1.
alarm_email = "operators@example.com"
# alarm_topic_arns = []

# How long logs are kept, and a KMS key for them if CloudWatch's own encryption won't do; its
# policy must admit CloudWatch Logs.
# log_retention_days = 30
# log_kms_key_arn    = null

# ── Buckets ──────────────────────────────────────────────────────────────────────────────────

# For how many days a replaced or deleted original can be brought back.
# noncurrent_version_days = 30

# Originals are read once, then kept: a cheaper storage class after some days, of INTELLIGENT_TIERING,
# STANDARD_IA and GLACIER_IR, such as { class = "INTELLIGENT_TIERING", days = 30 }.
# originals_storage = null

# ── CDN ──────────────────────────────────────────────────────────────────────────────────────

# Where CloudFront serves from: PriceClass_100 is Europe and North America, PriceClass_200 adds
# Asia, the Middle East and Africa, PriceClass_All the rest.
# price_class = "PriceClass_100"

# How long CloudFront keeps an image before it asks S3 again, in seconds. A picture that was removed
# or replaced is gone from all edge locations after this; shorter costs more requests to S3.
# cdn_max_ttl_seconds = 86400

# redirect-to-https, or https-only, which refuses instead.
# viewer_protocol_policy = "redirect-to-https"

# An apply that changes the distribution takes minutes to reach all edge locations. False ends
# the apply at once; the change arrives all the same.
# wait_for_cdn = true

# ── An emulator in the place of AWS ──────────────────────────────────────────────────────────

# Leave these alone on AWS; envs/local.tfvars and the local stack set them.
# deny_insecure_transport = true
# s3_use_path_style       = false
# service_urls            = null
