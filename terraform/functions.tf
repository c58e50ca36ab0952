locals {
  functions = merge(
    {
      authorizer = module.authorizer
      cleanup    = module.cleanup
      crop       = module.crop
      presign    = module.presign
      remove     = module.remove
      resize     = module.resize
    },
    { probe = module.probe },
    { for profiles in module.profiles : "profiles" => profiles },
    { for report in module.report : "report" => report },
    { for rekognition in module.rekognition : "rekognition" => rekognition },
  )

  # `%s` in the override stands for the pool's id, which a new pool gets from the apply itself.
  jwks_url = var.jwks_url == null ? null : replace(var.jwks_url, "%s", local.user_pool.id)

  # As the functions read them, largest first, such as 512.jpg. The two older settings make each
  # size in each format, and 512.jpg always.
  old_variants = var.avatar_sizes != null || var.avatar_formats != null
  variants_by_size = (
    local.old_variants ? {
      for size in distinct(concat([512], coalesce(var.avatar_sizes, [512, 128]))) :
      tostring(size) => distinct(concat(["jpg"], coalesce(var.avatar_formats, ["jpg", "webp"])))
    } :
    coalesce(var.avatar_variants, { "512" = ["jpg"], "128" = ["webp"] })
  )
  avatar_variants = tolist(flatten([
    for key in reverse(sort([for size in keys(local.variants_by_size) : format("%04d", tonumber(size))])) : [
      for extension in ["jpg", "webp", "avif"] : "${tonumber(key)}.${extension}"
      if contains(local.variants_by_size[tostring(tonumber(key))], extension)
    ]
  ]))

  # Likewise, such as 1500x500.jpg, in the order of their widths.
  banner_variants = tolist(flatten([
    for key in reverse(sort([for width in keys(local.banner_formats) : format("%04d", tonumber(width))])) : [
      for extension in ["jpg", "webp", "avif"] : "${tonumber(key)}x${tonumber(key) / 3}.${extension}"
      if contains(local.banner_formats[tostring(tonumber(key))], extension)
    ]
  ]))
  banner_formats = coalesce(var.banner_variants, { "1500" = ["jpg"], "600" = ["webp"] })

  # SSM's ARNs have one slash between `parameter` and the name, whether that begins with one or not.
  database_url_parameter_arn = var.database == null ? null : join(":", [
    "arn", data.aws_partition.this.partition, "ssm", var.region, data.aws_caller_identity.this.account_id,
    "parameter/${trimprefix(var.database.url_parameter_name, "/")}",
  ])
}

data "aws_partition" "this" {}

locals {
  # Apart from the function itself, whose role names its queue.
  cleanup_timeout = 30

  limits_environment = {
    LIMITS_TABLE_NAME      = module.limits.name
    UPLOADS_PER_10_MINUTES = var.upload_limits.per_10_minutes
    UPLOADS_PER_DAY        = var.upload_limits.per_day
  }

  moderated = var.moderation != "off"
  holding   = contains(["suspicious", "all"], var.moderation)
  judging   = var.moderation == "suspicious"

  verdict_function_arn = var.moderation_verdict_function_arn != null ? var.moderation_verdict_function_arn : one(module.rekognition[*].arn)

  reviews_environment = local.moderated ? {
    REVIEWS_TABLE_NAME = one(module.reviews[*].name)
    REVIEW_DAYS        = var.moderation_settings.review_days
  } : {}
}

check "replaced_settings" {
  assert {
    condition     = !local.old_variants
    error_message = "avatar_sizes and avatar_formats are replaced by avatar_variants and go with version 0.3. The same as now: avatar_variants = ${jsonencode(local.variants_by_size)}"
  }
}

module "authorizer" {
  source = "./modules/function"

  name               = "${local.name}-authorizer"
  description        = "Decides whether a request's access token is good."
  zip_path           = "${var.artifacts_directory}/authorizer.zip"
  handler            = "authorizer.handler.handler"
  timeout            = 10 # two tries to fetch the pool's keys; API Gateway waits as long
  log_retention_days = var.log_retention_days
  log_kms_key_arn    = var.log_kms_key_arn

  environment = merge(
    {
      USER_POOL_ID = local.user_pool.id
      CLIENT_ID    = join(",", concat([local.user_pool.client_id], local.user_pool.other_client_ids))
    },
    length(local.user_pool.other_issuers) == 0 ? {} : { OTHER_ISSUERS = join(",", local.user_pool.other_issuers) },
    local.jwks_url == null ? {} : { JWKS_URL = local.jwks_url },
    var.authorizer.clock_tolerance_seconds == 0 ? {} : { CLOCK_TOLERANCE_SECONDS = var.authorizer.clock_tolerance_seconds },
    var.authorizer.required_group == null ? {} : { REQUIRED_GROUP = var.authorizer.required_group },
    var.authorizer.required_scope == null ? {} : { REQUIRED_SCOPE = var.authorizer.required_scope },
  )
}

module "presign" {
  source = "./modules/function"

  name               = "${local.name}-presign"
  description        = "Gives a signed-in user an address to upload an avatar to."
  zip_path           = "${var.artifacts_directory}/presign.zip"
  handler            = "presign.handler.handler"
  log_retention_days = var.log_retention_days
  log_kms_key_arn    = var.log_kms_key_arn

  environment = merge(local.limits_environment, {
    UPLOADS_BUCKET_NAME = module.uploads.name
    AVATAR_VARIANTS     = join(",", local.avatar_variants)
    BANNER_VARIANTS     = join(",", local.banner_variants)
    MAX_UPLOAD_BYTES    = var.max_upload_bytes
  })

  permissions = {
    # The browser's PUT acts as this role.
    UploadOriginals = {
      actions   = ["s3:PutObject"]
      resources = ["${module.uploads.arn}/*"]
    }
    LookAtLimits = {
      actions   = ["dynamodb:GetItem"]
      resources = [module.limits.arn]
    }
  }
}

module "remove" {
  source = "./modules/function"

  name               = "${local.name}-remove"
  description        = "Removes the avatar of a signed-in user."
  zip_path           = "${var.artifacts_directory}/remove.zip"
  handler            = "remove.handler.handler"
  timeout            = 15 # two tries each of S3, and of the table
  log_retention_days = var.log_retention_days
  log_kms_key_arn    = var.log_kms_key_arn

  environment = merge(local.limits_environment, {
    UPLOADS_BUCKET_NAME = module.uploads.name
  })

  permissions = {
    # A delete marker: to delete a version for good is another action, which no function has.
    MarkDeleted = {
      actions   = ["s3:DeleteObject"]
      resources = ["${module.uploads.arn}/*"]
    }
    CountRemovals = {
      actions   = ["dynamodb:UpdateItem"]
      resources = [module.limits.arn]
    }
  }
}

module "crop" {
  source = "./modules/function"

  name               = "${local.name}-crop"
  description        = "Crops the picture of a signed-in user again."
  zip_path           = "${var.artifacts_directory}/crop.zip"
  handler            = "crop.handler.handler"
  timeout            = 25 # two tries each of S3's copy, and of the table; API Gateway waits for 30 s
  log_retention_days = var.log_retention_days
  log_kms_key_arn    = var.log_kms_key_arn

  environment = merge(local.limits_environment, {
    UPLOADS_BUCKET_NAME = module.uploads.name
    AVATAR_VARIANTS     = join(",", local.avatar_variants)
    BANNER_VARIANTS     = join(",", local.banner_variants)
  })

  permissions = {
    # An original is copied over itself.
    ReadOriginals = {
      actions   = ["s3:GetObject"]
      resources = ["${module.uploads.arn}/*"]
    }
    WriteOriginals = {
      actions   = ["s3:PutObject"]
      resources = ["${module.uploads.arn}/*"]
    }
    # What was refused is tagged so, and its copy would not be.
    SeeRefusals = {
      actions   = ["s3:GetObjectTagging"]
      resources = ["${module.uploads.arn}/*"]
    }
    # Without it S3 says "forbidden" where there is none.
    SeeMissingOriginal = {
      actions   = ["s3:ListBucket"]
      resources = [module.uploads.arn]
    }
    LookAtLimits = {
      actions   = ["dynamodb:GetItem"]
      resources = [module.limits.arn]
    }
  }
}

module "cleanup" {
  source = "./modules/function"

  name               = "${local.name}-cleanup"
  description        = "Deletes the pictures that avatars no longer show."
  zip_path           = "${var.artifacts_directory}/cleanup.zip"
  handler            = "cleanup.handler.handler"
  timeout            = local.cleanup_timeout
  log_retention_days = var.log_retention_days
  log_kms_key_arn    = var.log_kms_key_arn

  environment = {
    UPLOADS_BUCKET_NAME = module.uploads.name
    ASSETS_BUCKET_NAME  = module.assets.name
    AVATAR_VARIANTS     = join(",", local.avatar_variants)
    BANNER_VARIANTS     = join(",", local.banner_variants)
    QUEUE_URL           = module.image_pipeline.queue_url
    RESIZE_SECONDS      = var.resize.timeout
  }

  permissions = {
    ConsumeQueue = {
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
      resources = [module.image_pipeline.cleanup_queue_arn]
    }
    SeeCurrentAvatar = {
      actions   = ["s3:GetObject"]
      resources = ["${module.assets.arn}/avatars/*"]
    }
    ListImages = {
      actions   = ["s3:ListBucket"]
      resources = [module.assets.arn]
    }
    DeleteLeftovers = {
      actions   = ["s3:DeleteObject"]
      resources = ["${module.assets.arn}/variants/*", "${module.assets.arn}/rejections/*"]
    }
    # What is shown and was deleted, because it was sent again at that moment, is made again.
    QueueAgain = {
      actions   = ["sqs:SendMessage"]
      resources = [module.image_pipeline.queue_arn]
    }
  }
}

module "resize" {
  source = "./modules/function"

  name               = "${local.name}-resize"
  description        = "Makes the avatar and its variants from each upload."
  zip_path           = "${var.artifacts_directory}/resize.zip"
  handler            = "resize.handler.handler"
  memory_size        = var.resize.memory_size
  timeout            = var.resize.timeout
  log_retention_days = var.log_retention_days
  log_kms_key_arn    = var.log_kms_key_arn

  environment = merge(local.limits_environment, {
    UPLOADS_BUCKET_NAME = module.uploads.name
    ASSETS_BUCKET_NAME  = module.assets.name
    AVATAR_VARIANTS     = join(",", local.avatar_variants)
    BANNER_VARIANTS     = join(",", local.banner_variants)
    MAX_UPLOAD_BYTES    = var.max_upload_bytes
    CLEANUP_QUEUE_URL   = module.image_pipeline.cleanup_queue_url
    },
    local.reviews_environment,
    local.moderated ? { MODERATION = var.moderation } : {},
    local.judging ? {
      VERDICT_FUNCTION_ARN    = local.verdict_function_arn
      VERDICT_TIMEOUT_SECONDS = var.moderation_settings.verdict_timeout_seconds
      VERDICT_ON_FAILURE      = var.moderation_settings.verdict_on_failure
    } : {},
  )

  permissions = merge({
    ConsumeQueue = {
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
      resources = [module.image_pipeline.queue_arn]
    }
    CountUploads = {
      actions   = ["dynamodb:UpdateItem"]
      resources = [module.limits.arn]
    }
    AnnounceLeftovers = {
      actions   = ["sqs:SendMessage"]
      resources = [module.image_pipeline.cleanup_queue_arn]
    }
    ReadOriginals = {
      actions   = ["s3:GetObject", "s3:GetObjectVersion"]
      resources = ["${module.uploads.arn}/*"]
    }
    # Without it S3 says "forbidden" for an original that was deleted before its turn.
    SeeMissingOriginal = {
      actions   = ["s3:ListBucket"]
      resources = [module.uploads.arn]
    }
    MarkRejectedOriginals = {
      actions   = ["s3:PutObjectVersionTagging"]
      resources = ["${module.uploads.arn}/*"]
    }
    # What was refused stays so when everything is processed again.
    SeeRejections = {
      actions   = ["s3:GetObjectVersionTagging"]
      resources = ["${module.uploads.arn}/*"]
    }
    SeeCurrentAvatar = {
      actions   = ["s3:GetObject"]
      resources = ["${module.assets.arn}/avatars/*"]
    }
    # What a removed banner shows.
    SeeDefaultBanner = {
      actions   = ["s3:GetObject"]
      resources = ["${module.assets.arn}/banners/banner.jpg"]
    }
    # Without it S3 says "forbidden" for an avatar that isn't there yet.
    SeeMissingAvatar = {
      actions   = ["s3:ListBucket"]
      resources = [module.assets.arn]
    }
    WriteImages = {
      actions = ["s3:PutObject"]
      resources = [
        "${module.assets.arn}/avatars/*",
        "${module.assets.arn}/variants/*",
        "${module.assets.arn}/rejections/*",
      ]
    }
    # So that the mark of a removal expires.
    MarkRemovedAvatars = {
      actions   = ["s3:PutObjectTagging"]
      resources = ["${module.assets.arn}/avatars/*"]
    }
    },
    local.moderated ? {
      LookAtReviews = {
        actions   = ["dynamodb:Query"]
        resources = module.reviews[*].arn
      }
    } : {},
    local.holding ? {
      HoldUploads = {
        actions   = ["dynamodb:UpdateItem"]
        resources = module.reviews[*].arn
      }
    } : {},
    local.judging ? {
      AskVerdictFunction = {
        actions   = ["lambda:InvokeFunction"]
        resources = [local.verdict_function_arn]
      }
    } : {},
  )
}

module "report" {
  source = "./modules/function"
  count  = local.moderated ? 1 : 0

  name               = "${local.name}-report"
  description        = "Takes reports of pictures, and logs how long the oldest has waited."
  zip_path           = "${var.artifacts_directory}/report.zip"
  handler            = "report.handler.handler"
  timeout            = 15 # two tries of each of three calls
  log_retention_days = var.log_retention_days
  log_kms_key_arn    = var.log_kms_key_arn

  environment = merge(local.limits_environment, local.reviews_environment, {
    ASSETS_BUCKET_NAME = module.assets.name
    REPORTS_PER_DAY    = var.moderation_settings.reports_per_day
  })

  permissions = {
    SeeCurrentAvatar = {
      actions   = ["s3:GetObject"]
      resources = ["${module.assets.arn}/avatars/*"]
    }
    # Without it S3 says "forbidden" for an avatar that isn't there.
    SeeMissingAvatar = {
      actions   = ["s3:ListBucket"]
      resources = [module.assets.arn]
    }
    CountReports = {
      actions   = ["dynamodb:UpdateItem"]
      resources = [module.limits.arn]
    }
    TakeReports = {
      actions   = ["dynamodb:UpdateItem"]
      resources = module.reviews[*].arn
    }
    SeeOldest = {
      actions   = ["dynamodb:Query"]
      resources = module.reviews[*].index_arn
    }
  }
}

module "rekognition" {
  source = "./modules/function"
  count  = local.judging && var.moderation_rekognition != null ? 1 : 0

  name               = "${local.name}-rekognition"
  description        = "Says by Amazon Rekognition which uploads are to be held."
  zip_path           = "${var.artifacts_directory}/rekognition.zip"
  handler            = "rekognition.handler.handler"
  timeout            = 12 # two tries
  log_retention_days = var.log_retention_days
  log_kms_key_arn    = var.log_kms_key_arn

  environment = merge(
    { HOLD_CONFIDENCE = var.moderation_rekognition.confidence },
    var.moderation_rekognition.labels == null ? {} : { HOLD_LABELS = join(",", var.moderation_rekognition.labels) },
  )

  permissions = {
    # It knows no resources for pictures that are sent along.
    DetectLabels = {
      actions   = ["rekognition:DetectModerationLabels"]
      resources = ["*"]
    }
  }
}

module "probe" {
  source = "./modules/function"

  name               = "${local.name}-probe"
  description        = "Fetches from the CDN what must be there."
  zip_path           = "${var.artifacts_directory}/probe.zip"
  handler            = "probe.handler.handler"
  memory_size        = 128
  timeout            = 10 # of each object 3 s
  log_retention_days = var.log_retention_days
  log_kms_key_arn    = var.log_kms_key_arn

  environment = {
    ASSETS_URL  = local.assets_url
    PROBED_KEYS = join(",", module.cdn.probed_keys)
  }
}

module "profiles" {
  source = "./modules/function"
  count  = var.database == null ? 0 : 1

  name                = "${local.name}-profiles"
  description         = "Shows and changes profiles, and records each new avatar."
  zip_path            = "${var.artifacts_directory}/profiles.zip"
  handler             = "profiles.handler.handler"
  timeout             = 10
  maximum_concurrency = var.database.maximum_concurrency
  subnet_ids          = var.database.subnet_ids
  security_group_ids  = var.database.security_group_ids
  log_retention_days  = var.log_retention_days
  log_kms_key_arn     = var.log_kms_key_arn

  environment = {
    ASSETS_BUCKET_NAME     = module.assets.name
    ASSETS_URL             = local.assets_url
    AVATAR_VARIANTS        = join(",", local.avatar_variants)
    BANNER_VARIANTS        = join(",", local.banner_variants)
    DATABASE_URL_PARAMETER = var.database.url_parameter_name
  }

  permissions = merge(
    {
      ReadDatabaseUrl = {
        actions   = ["ssm:GetParameter"]
        resources = [local.database_url_parameter_arn]
      }
      SeeCurrentAvatar = {
        actions   = ["s3:GetObject"]
        resources = ["${module.assets.arn}/avatars/*"]
      }
      # Without it S3 says "forbidden" for an avatar that isn't there.
      SeeMissingAvatar = {
        actions   = ["s3:ListBucket"]
        resources = [module.assets.arn]
      }
    },
    var.database.kms_key_arn == null ? {} : {
      DecryptDatabaseUrl = {
        actions       = ["kms:Decrypt"]
        resources     = [var.database.kms_key_arn]
        string_equals = { "kms:EncryptionContext:PARAMETER_ARN" = local.database_url_parameter_arn }
      }
    },
  )
}
