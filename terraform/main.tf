# One environment. The modules stand in the order of README.md's diagram, from the browser to the CDN;
# the functions, with what each may do, are in functions.tf.

data "aws_caller_identity" "this" {}

locals {
  name = "${var.project}-${var.environment}"

  tags = {
    Project     = var.project
    Environment = var.environment
    ManagedBy   = "terraform"
  }

  origins = distinct(concat(var.front_end_origins, var.console_origins))

  user_pool = var.user_pool != null ? var.user_pool : module.identity[0].user_pool

  # Who may look at the console, who may change things, and who was made by tests.
  user_groups = {
    operators  = "May change things in the console."
    viewers    = "May look at things in the console."
    test-users = "Made by tests and demonstrations; may be deleted at any time."
  }

  api_domain_name    = var.domain_name == null ? null : "api.${var.domain_name}"
  assets_domain_name = var.domain_name == null ? null : "assets.${var.domain_name}"
}

# Who the users are, unless the application has a pool of its own.
module "identity" {
  source = "./modules/identity"
  count  = var.user_pool == null ? 1 : 0

  name                = local.name
  tier                = var.user_pool_tier
  email               = var.user_pool_email
  other_app_clients   = var.other_app_clients
  deletion_protection = var.user_pool_deletion_protection
}

resource "aws_cognito_user_group" "this" {
  for_each = try(var.user_pool.make_groups, true) ? local.user_groups : {}

  name         = each.key
  description  = each.value
  user_pool_id = local.user_pool.id
}

moved {
  from = module.identity[0].aws_cognito_user_group.this
  to   = aws_cognito_user_group.this
}

# Where front ends ask for an upload address, and read and change profiles.
module "api" {
  source = "./modules/api"

  name                   = local.name
  allowed_origins        = local.origins
  allowed_headers        = concat(["authorization", "content-type"], var.cors_request_headers)
  authorizer_function    = module.authorizer
  authorizer_ttl_seconds = var.authorizer_ttl_seconds
  throttling             = var.api_throttling
  domain_name            = local.api_domain_name
  certificate_arn        = one(module.api_certificate[*].arn)
  # An emulator serves the API under its own name only.
  disable_own_name   = var.domain_name != null && var.service_urls == null
  log_retention_days = var.log_retention_days
  log_kms_key_arn    = var.log_kms_key_arn

  functions = merge(
    { crop = module.crop, presign = module.presign, remove = module.remove },
    { for profiles in module.profiles : "profiles" => profiles },
    { for report in module.report : "report" => report },
  )

  routes = merge(
    {
      "POST /avatars/key_upload" = { function = "presign", authorized = true }
      "POST /avatars/crop"       = { function = "crop", authorized = true }
      "DELETE /avatars"          = { function = "remove", authorized = true }
    },
    var.database == null ? {} : {
      "GET /api/activities/{handle}" = { function = "profiles", authorized = false }
      "POST /api/profile/update"     = { function = "profiles", authorized = true }
    },
    local.moderated ? {
      "POST /avatars/{sub}/report" = { function = "report", authorized = true }
    } : {},
  )
}

# What users sent, as they sent it: the only data that can't be made again, so old versions are kept.
module "uploads" {
  source = "./modules/bucket"

  name                    = "${local.name}-uploads-${data.aws_caller_identity.this.account_id}"
  versioned               = true
  noncurrent_version_days = var.noncurrent_version_days
  expiring_tags           = { avatar-erased = 1 } # of erased accounts, sent too late to be erased with them
  upload_origins          = local.origins
  storage_transition      = var.originals_storage
  deny_insecure_transport = var.deny_insecure_transport
}

# Copies of what the law says must be kept; nobody deletes them before the hold is released.
module "legal_holds" {
  source = "./modules/bucket"

  name                    = "${local.name}-legal-holds-${data.aws_caller_identity.this.account_id}"
  versioned               = true
  object_lock             = true
  deny_insecure_transport = var.deny_insecure_transport
}

# How many pictures a user may send, and who is locked out.
module "limits" {
  source = "./modules/limits"

  name = "${local.name}-limits"
}

# What is held before it is shown, or was reported.
module "reviews" {
  source = "./modules/reviews"
  count  = local.moderated ? 1 : 0

  name = "${local.name}-reviews"
}

# From an upload to an avatar, and to the subscribers that are notified of it.
module "image_pipeline" {
  source = "./modules/image_pipeline"

  name                = local.name
  resize_function_arn = module.resize.arn
  resize_timeout      = var.resize.timeout
  maximum_concurrency = var.resize.maximum_concurrency
  maximum_receives    = var.resize.maximum_receives
  webhook_url         = var.webhook_url

  cleanup_function_arn   = module.cleanup.arn
  cleanup_timeout        = local.cleanup_timeout
  replaced_image_seconds = var.replaced_image_seconds

  uploads_bucket = {
    name = module.uploads.name
    arn  = module.uploads.arn
  }

  assets_bucket = {
    name = module.assets.name
    arn  = module.assets.arn
  }

  subscriber_functions = { for profiles in module.profiles : "profiles" => profiles }
}

# `make reprocess` on S3's own engine.
module "reprocess" {
  source = "./modules/reprocess"
  count  = var.reprocess.enabled ? 1 : 0

  name               = "${local.name}-reprocess"
  function_arn       = module.resize.arn
  uploads_bucket_arn = module.uploads.arn
  reports_arn        = "${module.assets.arn}/reprocess/*"
}

# What everybody sees. `make reconcile ALL=1` makes all of it again, so it has no versions.
module "assets" {
  source = "./modules/bucket"

  name                    = "${local.name}-assets-${data.aws_caller_identity.this.account_id}"
  expiring_prefixes       = merge({ "rejections/" = 90 }, var.reprocess.enabled ? { "reprocess/" = var.reprocess.report_days } : {})
  inventory_days          = var.inventory.enabled ? var.inventory.days : null
  expiring_tags           = { avatar-removed = 30 } # days: longer than a message waits, redriven once
  read_origins            = local.origins
  deny_insecure_transport = var.deny_insecure_transport

  service_readers = {
    ReadByDistribution = {
      service    = "cloudfront.amazonaws.com"
      source_arn = module.cdn.distribution_arn
      prefixes   = ["avatars/", "variants/", "banners/", "rejections/"]
    }
  }
}

module "cdn" {
  source = "./modules/cdn"

  name                   = local.name
  images_directory       = "${path.module}/assets"
  allowed_origins        = local.origins
  domain_name            = local.assets_domain_name
  certificate_arn        = one(module.assets_certificate[*].arn)
  price_class            = var.price_class
  viewer_protocol_policy = var.viewer_protocol_policy
  max_ttl_seconds        = var.cdn_max_ttl_seconds
  wait_for_deployment    = var.wait_for_cdn

  bucket = {
    name                 = module.assets.name
    regional_domain_name = module.assets.regional_domain_name
  }
}

# The custom domain: api.<domain> and assets.<domain>.
module "dns" {
  source = "./modules/dns"
  count  = var.domain_name == null ? 0 : 1

  hosted_zone_name = coalesce(var.hosted_zone_name, var.domain_name)
  hosted_zone_id   = var.hosted_zone_id

  aliases = {
    api = {
      name           = local.api_domain_name
      target         = module.api.domain_target.name
      target_zone_id = module.api.domain_target.zone_id
    }
    assets = {
      name           = local.assets_domain_name
      target         = module.cdn.distribution_domain_name
      target_zone_id = module.cdn.distribution_zone_id
    }
    assets-ipv6 = {
      name           = local.assets_domain_name
      type           = "AAAA"
      target         = module.cdn.distribution_domain_name
      target_zone_id = module.cdn.distribution_zone_id
    }
  }
}

module "api_certificate" {
  source = "./modules/certificate"
  count  = var.domain_name == null ? 0 : 1

  domain_name = local.api_domain_name
  zone_id     = module.dns[0].zone_id
}

module "assets_certificate" {
  source = "./modules/certificate"
  count  = var.domain_name == null ? 0 : 1

  providers = {
    aws = aws.us_east_1
  }

  domain_name = local.assets_domain_name
  zone_id     = module.dns[0].zone_id
}

# What tells operators that something is wrong, and where.
module "observability" {
  source = "./modules/observability"

  name                   = local.name
  region                 = var.region
  queue_name             = module.image_pipeline.queue_name
  dead_letter_queue_name = module.image_pipeline.dead_letter_queue_name
  topic_name             = module.image_pipeline.topic_name
  api_id                 = module.api.id
  distribution_id        = module.cdn.distribution_id

  cleanup_dead_letter_queue_name = module.image_pipeline.cleanup_dead_letter_queue_name

  functions = {
    for key, function in local.functions : key => {
      name = function.name
      # Not yet stopped, but near it.
      slow_ms = 800 * function.timeout
    } if key != "probe" # whose errors have an alarm of their own
  }

  probe_function = module.probe

  # `crop`, `remove` and `report` ask too, in the same way
  limiting_functions = {
    presign = module.presign.name
    resize  = module.resize.name
  }

  reviewing = local.moderated ? {
    report_function = module.report[0]
    judged_function = local.judging ? module.resize.name : null
    oldest_hours    = var.moderation_settings.oldest_hours
  } : null

  alarm_actions = concat(
    module.alarm_topic[*].arn,
    [for arn in var.alarm_topic_arns : arn if split(":", arn)[3] == var.region],
  )
}

module "cdn_alarm" {
  source = "./modules/cdn_alarm"

  providers = {
    aws = aws.us_east_1
  }

  name            = local.name
  distribution_id = module.cdn.distribution_id

  alarm_actions = concat(
    module.cdn_alarm_topic[*].arn,
    [for arn in var.alarm_topic_arns : arn if split(":", arn)[3] == "us-east-1"],
  )
}

module "alarm_topic" {
  source = "./modules/alarm_topic"
  count  = var.alarm_email == null ? 0 : 1

  name              = "${local.name}-alarms"
  alarm_name_prefix = "${local.name}-"
  email             = var.alarm_email
}

# An alarm only reaches a topic of its own region.
module "cdn_alarm_topic" {
  source = "./modules/alarm_topic"
  count  = var.alarm_email == null ? 0 : 1

  providers = {
    aws = aws.us_east_1
  }

  name              = "${local.name}-cdn-alarms"
  alarm_name_prefix = "${local.name}-"
  email             = var.alarm_email
}
