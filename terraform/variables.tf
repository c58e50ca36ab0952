# Names

variable "project" {
  description = "First part of every name."
  type        = string
  default     = "avatar-ops"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.project))
    error_message = "A project has 2 to 20 characters: lower-case letters, digits and inner hyphens, beginning with a to z."
  }
}

variable "environment" {
  description = "Second part of every name, such as prod."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,14}[a-z0-9]$", var.environment))
    error_message = "An environment has 2 to 16 characters: lower-case letters, digits and inner hyphens."
  }
}

variable "region" {
  description = "AWS region of everything but CloudFront and its certificate; one of the commercial partition."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region is written like eu-central-1."
  }

  validation {
    condition     = !can(regex("^(cn|us-gov|us-iso[a-z]*|eu-isoe|eusc)-", var.region))
    error_message = "Only regions of the commercial partition work: in China, GovCloud and the sovereign clouds CloudFront and its certificate can't be made this way."
  }
}

variable "account_id" {
  description = "Id of the AWS account that this environment is in; commands refuse any other. Only an emulator may leave it out."
  type        = string
  default     = null

  validation {
    condition     = var.account_id == null || can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account id has 12 digits."
  }
}

variable "domain_name" {
  description = "Serve the API at api.<domain_name> and images at assets.<domain_name>; null for the services' own names."
  type        = string
  default     = null

  validation {
    condition     = var.domain_name == null || can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])+[a-z]{2,}$", var.domain_name))
    error_message = "A domain name is written like example.com: lower case, no scheme, no slash, no dot at the end."
  }
}

variable "hosted_zone_name" {
  description = "Public Route 53 zone, which exists already, for the names under domain_name; null if it is named like the domain."
  type        = string
  default     = null

  validation {
    condition = (
      var.hosted_zone_name == null || var.domain_name == null ||
      endswith(".${coalesce(var.domain_name, "none")}", ".${trimsuffix(coalesce(var.hosted_zone_name, "none"), ".")}")
    )
    error_message = "The hosted zone doesn't hold the domain: domain_name must be the zone's name or end with it."
  }
}

variable "hosted_zone_id" {
  description = "Id of that zone, for an account with two public zones of one name; null to find it by its name."
  type        = string
  default     = null

  validation {
    condition     = var.hosted_zone_id == null || can(regex("^Z[0-9A-Z]+$", var.hosted_zone_id))
    error_message = "A hosted zone's id is written like Z0123456789ABCDEFGHIJ."
  }
}

variable "front_end_origins" {
  description = "Web origins whose pages may call the API, upload, and read images, such as https://example.com."
  type        = list(string)

  validation {
    condition     = length(var.front_end_origins) > 0
    error_message = "Give at least one origin: without one no front end can upload."
  }

  validation {
    condition     = alltrue([for origin in var.front_end_origins : can(regex("^https?://[a-z0-9.-]+(:[0-9]+)?$", origin))])
    error_message = "An origin is written like https://example.com: scheme, host and perhaps a port, no slash at the end, no wildcard."
  }
}

variable "console_origins" {
  description = "Origins of the operators' console, whose profile page uploads as a front end does; none leaves that out."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for origin in var.console_origins : can(regex("^https?://[a-z0-9.-]+(:[0-9]+)?$", origin))])
    error_message = "An origin is written like http://127.0.0.1:8501: scheme, host and perhaps a port, no slash at the end, no wildcard."
  }
}

# Functions

variable "artifacts_directory" {
  description = "Folder of the functions' zips, which `make build` fills."
  type        = string
  default     = "../build/aws"
}

variable "resize" {
  description = "Memory in MB and timeout in seconds of the resize function, how many batches of uploads it works on at once, and how often a message is received before it goes to the dead-letter queue."
  type = object({
    memory_size         = optional(number, 1769)
    timeout             = optional(number, 30)
    maximum_concurrency = optional(number, 20)
    maximum_receives    = optional(number, 8)
  })
  default = {}

  validation {
    condition     = var.resize.memory_size >= 256 && var.resize.memory_size <= 10240
    error_message = "The resize function needs 256 to 10240 MB; below that a large photo doesn't fit."
  }

  validation {
    condition     = var.resize.timeout >= 15 && var.resize.timeout <= 445
    error_message = "The resize function's timeout is 15 to 445 seconds: a call of S3 that stalls is given up and made again within 12, and what was replaced is kept for twice as long and 10 seconds, which SQS does for 900."
  }

  validation {
    condition     = var.resize.maximum_concurrency >= 2 && var.resize.maximum_concurrency <= 1000
    error_message = "SQS lets the resize function work on 2 to 1000 batches at once."
  }

  validation {
    condition     = var.resize.maximum_receives >= 1 && var.resize.maximum_receives <= 1000
    error_message = "SQS receives a message 1 to 1000 times; AWS advises at least 5, as a throttled call counts as one."
  }
}

# Avatars

variable "upload_limits" {
  description = "Pictures that a user may send in each ten minutes, and in each day; and as many removals."
  type = object({
    per_10_minutes = optional(number, 20)
    per_day        = optional(number, 100)
  })
  default = {}

  validation {
    condition     = var.upload_limits.per_10_minutes >= 1 && var.upload_limits.per_day >= var.upload_limits.per_10_minutes && var.upload_limits.per_day <= 10000
    error_message = "A user may send 1 to 10000 pictures in ten minutes, and in a day at least as many."
  }
}

variable "reprocess" {
  description = "Whether `make reprocess` has S3 Batch Operations call `resize` for each original, rather than use the queue; and days for which a job's report is kept."
  type = object({
    enabled     = optional(bool, false)
    report_days = optional(number, 30)
  })
  default = {}

  validation {
    condition     = var.reprocess.report_days >= 1
    error_message = "A report is kept for a day at least."
  }
}

variable "inventory" {
  description = "Whether S3 lists what is in the assets bucket each day, so that `make reconcile INVENTORY=1` asks only for what may be missing; and days for which a list is kept."
  type = object({
    enabled = optional(bool, false)
    days    = optional(number, 7)
  })
  default = {}

  validation {
    condition     = var.inventory.days >= 3
    error_message = "A list is kept for three days at least: it may take two until it is there."
  }
}

variable "moderation" {
  description = "Which pictures operators look at: `off`, `reports` (those that users report), `suspicious` (also each that a verdict function holds, before it is shown), `all` (each before it is shown)."
  type        = string
  default     = "off"

  validation {
    condition     = contains(["off", "reports", "suspicious", "all"], var.moderation)
    error_message = "Moderation is off, reports, suspicious or all."
  }

  validation {
    condition     = (var.moderation == "suspicious") == (var.moderation_verdict_function_arn != null || var.moderation_rekognition != null)
    error_message = "What is suspicious a function says: with moderation = \"suspicious\", and only then, set moderation_verdict_function_arn or moderation_rekognition."
  }
}

variable "moderation_verdict_function_arn" {
  description = "ARN of a Lambda function in the region that says of each upload whether it is to be held, as docs/contract.md has it; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.moderation_verdict_function_arn == null || can(regex("^arn:aws[a-z-]*:lambda:${var.region}:[0-9]{12}:function:[0-9A-Za-z_-]+(:[0-9A-Za-z_$-]+)?$", var.moderation_verdict_function_arn))
    error_message = "The verdict function is named by its ARN, in `region`: arn:aws:lambda:<region>:<account>:function:<name>."
  }
}

variable "moderation_rekognition" {
  description = "Make a verdict function of Amazon Rekognition (1,000 USD for a million uploads): from which confidence in percent, and which labels; null for none. An empty object takes the defaults."
  type = object({
    confidence = optional(number, 60)
    labels     = optional(list(string))
  })
  default = null

  validation {
    condition     = var.moderation_rekognition == null || var.moderation_verdict_function_arn == null
    error_message = "There is one verdict function: set moderation_verdict_function_arn or moderation_rekognition."
  }

  validation {
    condition     = var.moderation_rekognition == null || try(var.moderation_rekognition.confidence >= 1 && var.moderation_rekognition.confidence <= 100 && floor(var.moderation_rekognition.confidence) == var.moderation_rekognition.confidence, false)
    error_message = "The confidence is a whole number from 1 to 100."
  }
}

variable "moderation_settings" {
  description = "Reports that a user may send in a day, days for which what was held or reported is kept, hours after which the oldest makes an alarm, seconds that the verdict function has, and whether to `hold` or `show` what it says nothing of."
  type = object({
    reports_per_day         = optional(number, 20)
    review_days             = optional(number, 90)
    oldest_hours            = optional(number, 24)
    verdict_timeout_seconds = optional(number, 3)
    verdict_on_failure      = optional(string, "hold")
  })
  default = {}

  validation {
    condition     = var.moderation_settings.reports_per_day >= 1 && var.moderation_settings.reports_per_day <= 1000
    error_message = "A user may send 1 to 1000 reports in a day."
  }

  validation {
    condition     = var.moderation_settings.review_days >= 30 && var.moderation_settings.review_days <= 3650
    error_message = "What was held or reported is kept for 30 to 3650 days: longer than a message may wait to be redriven."
  }

  validation {
    condition     = var.moderation_settings.oldest_hours >= 1
    error_message = "The oldest may wait for at least 1 hour."
  }

  validation {
    condition     = var.moderation_settings.verdict_timeout_seconds >= 1 && var.moderation_settings.verdict_timeout_seconds <= 10 && var.moderation_settings.verdict_timeout_seconds + 2 < var.resize.timeout
    error_message = "The verdict function has 1 to 10 seconds, and resize.timeout must leave it 2 more."
  }

  validation {
    condition     = contains(["hold", "show"], var.moderation_settings.verdict_on_failure)
    error_message = "Without an answer of the verdict function an upload is held or shown: \"hold\" or \"show\"."
  }
}

variable "replaced_image_seconds" {
  description = "Seconds for which the images of a picture that was replaced or removed are kept, for pages that show them already."
  type        = number
  default     = 900

  validation {
    condition     = var.replaced_image_seconds >= 2 * var.resize.timeout + 10 && var.replaced_image_seconds <= 900
    error_message = "Replaced images are kept for 2 * resize.timeout + 10 to 900 seconds: until each upload that was in the making has ended, and for as long as SQS delays a message."
  }
}

variable "avatar_variants" {
  description = "Variants of each avatar: formats (jpg, webp, avif) by edge length in pixels. Each pair is one PUT per upload. Null for 512.jpg and 128.webp."
  type        = map(list(string))
  default     = null

  validation {
    condition = var.avatar_variants == null || alltrue([
      for size in keys(coalesce(var.avatar_variants, {})) :
      can(regex("^[1-9][0-9]{1,3}$", size)) && try(tonumber(size) >= 16 && tonumber(size) <= 2048, false)
    ])
    error_message = "An avatar variant's edge length is a whole number from 16 to 2048, written like \"512\" = [\"jpg\"]."
  }

  validation {
    condition = var.avatar_variants == null || alltrue([
      for formats in values(coalesce(var.avatar_variants, {})) :
      length(formats) > 0 && length(distinct(formats)) == length(formats) &&
      alltrue([for format in formats : contains(["jpg", "webp", "avif"], format)])
    ])
    error_message = "An avatar variant's formats are jpg, webp and avif, at least one, none twice."
  }

  validation {
    condition     = var.avatar_variants == null || length(coalesce(var.avatar_variants, {})) > 0
    error_message = "Give at least one avatar variant: front ends learn from it that an upload is done."
  }

  validation {
    condition     = var.avatar_variants == null || (var.avatar_sizes == null && var.avatar_formats == null)
    error_message = "Give avatar_variants, or avatar_sizes and avatar_formats as before version 0.2, not both."
  }
}

variable "banner_variants" {
  description = "Variants of each banner: formats (jpg, webp, avif) by width in pixels; the height is a third of it. Each pair is one PUT per upload. Null for 1500x500.jpg and 600x200.webp."
  type        = map(list(string))
  default     = null

  validation {
    condition = var.banner_variants == null || alltrue([
      for width in keys(coalesce(var.banner_variants, {})) :
      can(regex("^[1-9][0-9]{1,3}$", width)) &&
      try(tonumber(width) >= 48 && tonumber(width) <= 3000 && tonumber(width) % 3 == 0, false)
    ])
    error_message = "A banner variant's width is a whole number from 48 to 3000 that 3 divides, written like \"1500\" = [\"jpg\"]."
  }

  validation {
    condition = var.banner_variants == null || alltrue([
      for formats in values(coalesce(var.banner_variants, {})) :
      length(formats) > 0 && length(distinct(formats)) == length(formats) &&
      alltrue([for format in formats : contains(["jpg", "webp", "avif"], format)])
    ])
    error_message = "A banner variant's formats are jpg, webp and avif, at least one, none twice."
  }

  validation {
    condition     = var.banner_variants == null || length(coalesce(var.banner_variants, {})) > 0
    error_message = "Give at least one banner variant: front ends learn from it that an upload is done."
  }
}

variable "avatar_sizes" {
  description = "Replaced by avatar_variants; accepted until version 0.3. Edge lengths in pixels, each made in each of avatar_formats."
  type        = list(number)
  default     = null

  validation {
    condition = var.avatar_sizes == null || (
      length(coalesce(var.avatar_sizes, [])) > 0 &&
      length(distinct(coalesce(var.avatar_sizes, []))) == length(coalesce(var.avatar_sizes, [])) &&
      alltrue([for size in coalesce(var.avatar_sizes, []) : size >= 16 && size <= 2048 && floor(size) == size])
    )
    error_message = "Avatar sizes are whole numbers from 16 to 2048, at least one, none twice."
  }
}

variable "avatar_formats" {
  description = "Replaced by avatar_variants; accepted until version 0.3. Formats in which each of avatar_sizes is made."
  type        = list(string)
  default     = null

  validation {
    condition = var.avatar_formats == null || (
      length(coalesce(var.avatar_formats, [])) > 0 &&
      length(distinct(coalesce(var.avatar_formats, []))) == length(coalesce(var.avatar_formats, [])) &&
      alltrue([for format in coalesce(var.avatar_formats, []) : contains(["jpg", "webp", "avif"], format)])
    )
    error_message = "Avatar formats are jpg, webp and avif, at least one, none twice."
  }
}

variable "max_upload_bytes" {
  description = "Largest upload in bytes; a phone's photo of 48 megapixels has up to 25 MB."
  type        = number
  default     = 26214400

  validation {
    condition     = var.max_upload_bytes >= 1024 && var.max_upload_bytes <= 33554432
    error_message = "The largest upload is 1 KiB to 32 MiB, in bytes: the resize function takes no more."
  }
}

# Users

variable "user_pool" {
  description = "Cognito user pool of the application, in any region: its id, its web client's id, the clients of its other applications, other issuers of its tokens, and whether to make the console's groups in it; null to make a pool."
  type = object({
    id               = string
    client_id        = string
    other_client_ids = optional(list(string), [])
    other_issuers    = optional(list(string), [])
    make_groups      = optional(bool, true)
  })
  default = null

  validation {
    condition = var.user_pool == null || alltrue([
      for id in concat([try(var.user_pool.client_id, "x")], try(var.user_pool.other_client_ids, [])) : can(regex("^[0-9A-Za-z_+]+$", id))
    ])
    error_message = "A client's id is written like 1h57kf5cpq17m0eml12EXAMPLE."
  }

  validation {
    condition     = var.user_pool == null || alltrue([for issuer in try(var.user_pool.other_issuers, []) : can(regex("^https://[0-9A-Za-z.-]+/[0-9A-Za-z._~/-]+$", issuer))])
    error_message = "An issuer is written as in the tokens' iss: https://cognito-idp.eu-west-1.amazonaws.com/eu-central-1_AbCdEfGhI."
  }

  validation {
    condition     = var.user_pool == null || can(regex("^[a-z0-9-]+_[0-9A-Za-z]+$", var.user_pool.id))
    error_message = "A user pool's id is written like eu-central-1_AbCdEfGhI."
  }
}

variable "other_app_clients" {
  description = "App clients that the pool made here has besides the front end's, such as ios and android."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.other_app_clients : can(regex("^[a-z][a-z0-9-]{0,30}$", name)) && name != "front-end"])
    error_message = "An app client is named like ios: a lower-case letter, then letters, digits and hyphens, and not front-end."
  }
}

variable "user_pool_tier" {
  description = "Feature plan of the pool made here: LITE has all that is used here; ESSENTIALS and PLUS cost three times as much and more."
  type        = string
  default     = "LITE"

  validation {
    condition     = contains(["LITE", "ESSENTIALS", "PLUS"], var.user_pool_tier)
    error_message = "A user pool's plan is LITE, ESSENTIALS or PLUS."
  }
}

variable "user_pool_email" {
  description = "SES identity from which the pool made here sends its mail, and the sender; null for Cognito's own, which sends 50 a day for the whole account."
  type = object({
    source_arn = string
    from       = string
  })
  default = null

  validation {
    condition     = var.user_pool_email == null || can(regex("^arn:aws:ses:[a-z0-9-]+:[0-9]{12}:identity/.+$", var.user_pool_email.source_arn))
    error_message = "The SES identity is written like arn:aws:ses:eu-central-1:123456789012:identity/example.com."
  }
}

variable "user_pool_deletion_protection" {
  description = "Refuse to delete the pool made here, and with it all its users."
  type        = bool
  default     = true
}

variable "jwks_url" {
  description = "Where the pool's public keys are, with %s for the pool's id; null for Cognito's own address."
  type        = string
  default     = null

  validation {
    condition     = var.jwks_url == null || can(regex("^https?://", var.jwks_url))
    error_message = "The JWKS URL begins with https:// (or http:// on an emulator)."
  }
}

variable "authorizer" {
  description = "What else a token must be: seconds by which clocks may differ, and a Cognito group and an OAuth scope that it must carry; null for none."
  type = object({
    clock_tolerance_seconds = optional(number, 0)
    required_group          = optional(string)
    required_scope          = optional(string)
  })
  default = {}

  validation {
    condition     = var.authorizer.clock_tolerance_seconds >= 0 && var.authorizer.clock_tolerance_seconds <= 300
    error_message = "Clocks may differ by 0 to 300 seconds."
  }
}

# API

variable "cors_request_headers" {
  description = "Headers that pages may send to the API besides Authorization and Content-Type: those that tracing and request libraries add by themselves."
  type        = list(string)
  default = [
    "baggage", "sentry-trace", "traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid",
    "x-b3-sampled", "newrelic", "x-newrelic-id", "x-amzn-trace-id", "x-cloud-trace-context", "x-datadog-origin",
    "x-datadog-parent-id", "x-datadog-sampling-priority", "x-datadog-trace-id", "x-request-id", "x-requested-with",
  ]

  validation {
    condition     = alltrue([for name in var.cors_request_headers : can(regex("^[a-z0-9-]+$", name))])
    error_message = "A header's name is written in lower case, such as x-requested-with; no wildcard."
  }
}

variable "authorizer_ttl_seconds" {
  description = "Seconds for which the authorizer's result for a token is cached, 0 to 3600. A token that expires meanwhile is accepted until then."
  type        = number
  default     = 300

  validation {
    condition     = var.authorizer_ttl_seconds >= 0 && var.authorizer_ttl_seconds <= 3600
    error_message = "API Gateway caches the authorizer's result for 0 to 3600 seconds."
  }
}

variable "api_throttling" {
  description = "Requests per second, and at once, that the API takes before it answers 429."
  type = object({
    rate_limit  = optional(number, 100)
    burst_limit = optional(number, 200)
  })
  default = {}

  validation {
    condition     = var.api_throttling.rate_limit > 0 && var.api_throttling.burst_limit > 0
    error_message = "The API's limits must be above 0; with 0 it refuses everything."
  }
}

# Database

variable "database" {
  description = "Postgres for profiles: the SSM SecureString with its URL, the key if not AWS's own, the network if it is private, and how many calls of the function, each with a connection, may run at once (reserved from the account's quota; null for no bound of its own); null for no profiles."
  type = object({
    url_parameter_name  = string
    kms_key_arn         = optional(string)
    subnet_ids          = optional(list(string), [])
    security_group_ids  = optional(list(string), [])
    maximum_concurrency = optional(number)
  })
  default = null

  validation {
    condition     = var.database == null || can(regex("^[0-9A-Za-z_./-]+$", var.database.url_parameter_name))
    error_message = "The parameter's name is written like /avatar-ops/prod/database-url; it is not the URL itself."
  }

  validation {
    condition     = var.database == null || (length(try(var.database.subnet_ids, [])) == 0) == (length(try(var.database.security_group_ids, [])) == 0)
    error_message = "Subnets and security groups go together: give both or neither."
  }
}

# Webhook

variable "webhook_url" {
  description = "HTTPS URL that SNS notifies of each new or removed avatar; it must confirm the subscription. Null for none."
  type        = string
  default     = null

  validation {
    condition     = var.webhook_url == null || can(regex(var.allow_http_webhook ? "^https?://[^/]" : "^https://[^/]", var.webhook_url))
    error_message = "The webhook begins with https:// (http:// only with allow_http_webhook, on one's own machine)."
  }
}

variable "allow_http_webhook" {
  description = "Accept a webhook without TLS."
  type        = bool
  default     = false
}

# Observability

variable "alarm_email" {
  description = "Email address that is notified of alarms, once it has confirmed; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null || can(regex("^[^@ ]+@[^@ ]+[.][^@ ]+$", var.alarm_email))
    error_message = "The alarm address is written like operators@example.com."
  }
}

variable "alarm_topic_arns" {
  description = "ARNs of existing topics that are notified of alarms: those in the region, and for CloudFront's alarm those in us-east-1."
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for arn in var.alarm_topic_arns : can(regex("^arn:aws[a-z-]*:sns:(${var.region}|us-east-1):[0-9]{12}:[^:]+$", arn))
    ])
    error_message = "An alarm reaches only SNS topics of its own region: give ARNs in `region` or, for CloudFront's, us-east-1."
  }
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
  default     = 30

  validation {
    condition = contains(
      [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.log_retention_days,
    )
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 days or some years more."
  }
}

variable "log_kms_key_arn" {
  description = "KMS key that encrypts the logs, whose policy admits CloudWatch Logs; null for CloudWatch's own encryption."
  type        = string
  default     = null
}

# Buckets

variable "noncurrent_version_days" {
  description = "Days for which a replaced or deleted original is kept."
  type        = number
  default     = 30

  validation {
    condition     = var.noncurrent_version_days >= 1
    error_message = "Old versions are kept for at least 1 day."
  }
}

variable "originals_storage" {
  description = "Storage class to which originals move, and after how many days; null leaves them in Standard."
  type = object({
    class = string
    days  = optional(number, 30)
  })
  default = null

  validation {
    condition     = var.originals_storage == null || contains(["INTELLIGENT_TIERING", "STANDARD_IA", "GLACIER_IR"], try(var.originals_storage.class, ""))
    error_message = "Originals must stay readable at once: the class is INTELLIGENT_TIERING, STANDARD_IA or GLACIER_IR."
  }

  validation {
    condition     = var.originals_storage == null || try(var.originals_storage.days, 30) >= (try(var.originals_storage.class, "") == "STANDARD_IA" ? 30 : 0)
    error_message = "S3 moves objects to STANDARD_IA after 30 days at the earliest."
  }
}

variable "deny_insecure_transport" {
  description = "Refuse requests to the buckets that don't come over TLS; false only where there is none, as on an emulator."
  type        = bool
  default     = true
}

variable "s3_use_path_style" {
  description = "Name buckets in the path instead of the host name; for emulators."
  type        = bool
  default     = false
}

# CDN

variable "price_class" {
  description = "CloudFront's edge locations: PriceClass_100 (Europe, North America), PriceClass_200 (and Asia, Africa), PriceClass_All."
  type        = string
  default     = "PriceClass_100"

  validation {
    condition     = contains(["PriceClass_100", "PriceClass_200", "PriceClass_All"], var.price_class)
    error_message = "The price class is PriceClass_100, PriceClass_200 or PriceClass_All."
  }
}

variable "cdn_max_ttl_seconds" {
  description = "Seconds after which CloudFront asks S3 again for what it has cached: so long it may serve what was removed."
  type        = number
  default     = 86400

  validation {
    condition     = var.cdn_max_ttl_seconds >= 60 && var.cdn_max_ttl_seconds <= 31536000
    error_message = "CloudFront keeps images for 60 seconds to a year (31536000)."
  }
}

variable "viewer_protocol_policy" {
  description = "What CloudFront does with plain HTTP; allow-all only where there is no TLS, as on an emulator."
  type        = string
  default     = "redirect-to-https"

  validation {
    condition     = contains(["redirect-to-https", "https-only", "allow-all"], var.viewer_protocol_policy)
    error_message = "The viewer protocol policy is redirect-to-https, https-only or allow-all."
  }
}

variable "wait_for_cdn" {
  description = "End an apply only once all of CloudFront's edge locations know the distribution."
  type        = bool
  default     = true
}

variable "service_urls" {
  description = "Where an emulator serves API and images, with %s for the API's id and for the first label of the distribution's name; null on AWS."
  type = object({
    api    = string
    assets = string
  })
  default = null

  validation {
    condition = var.service_urls == null || alltrue([
      for url in values(coalesce(var.service_urls, { api = "", assets = "" })) : can(regex("^https?://[^%]*%s[^%]*[^%/]$|^https?://[^%]*%s$", url))
    ])
    error_message = "A service URL begins with http:// or https://, holds %s once, and has no slash at the end."
  }
}
