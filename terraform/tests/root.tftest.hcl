mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/mocks"
}

override_resource {
  target = module.uploads.aws_s3_bucket.this
  values = {
    id  = "uploads"
    arn = "arn:aws:s3:::uploads"
  }
}

override_resource {
  target = module.assets.aws_s3_bucket.this
  values = {
    id                          = "assets"
    arn                         = "arn:aws:s3:::assets"
    bucket_regional_domain_name = "assets.s3.eu-central-1.amazonaws.com"
  }
}

variables {
  environment         = "test"
  region              = "eu-central-1"
  front_end_origins   = ["https://app.example.com"]
  artifacts_directory = "tests/artifacts"

  # A shell that was set up for an emulator has these in its environment.
  service_urls = null
  jwks_url     = null
}

run "stands_without_domain_database_and_webhook" {
  assert {
    condition = (
      output.api_url == "https://api123.execute-api.eu-central-1.amazonaws.com" &&
      output.assets_url == "https://d111111abcdef8.cloudfront.net"
    )
    error_message = "Without a domain the services' own addresses should be given, without a slash at the end."
  }

  assert {
    condition = output.function_names == {
      authorizer = "avatar-ops-test-authorizer"
      cleanup    = "avatar-ops-test-cleanup"
      crop       = "avatar-ops-test-crop"
      presign    = "avatar-ops-test-presign"
      probe      = "avatar-ops-test-probe"
      remove     = "avatar-ops-test-remove"
      resize     = "avatar-ops-test-resize"
    }
    error_message = "Without a database there should be no function for profiles."
  }

  assert {
    condition     = output.user_pool_id == "eu-central-1_MadeHere1" && output.user_pool_client_id == "clientmadehere"
    error_message = "A user pool should be made."
  }

  assert {
    condition = (
      length(module.dns) == 0 && length(module.api_certificate) == 0 && length(module.assets_certificate) == 0 &&
      length(module.alarm_topic) == 0 && length(module.cdn_alarm_topic) == 0 &&
      length(module.reviews) == 0 && length(module.report) == 0 && length(module.rekognition) == 0 && output.reviews_table == null &&
      length(module.reprocess) == 0 && output.reprocess_role_arn == null
    )
    error_message = "What wasn't asked for should not be made."
  }

  assert {
    condition     = output.avatar_variants == tolist(["512.jpg", "128.webp"])
    error_message = "The default should be the avatar and a small WebP for lists."
  }

  assert {
    condition     = toset(keys(aws_cognito_user_group.this)) == toset(["operators", "viewers", "test-users"])
    error_message = "The console's two groups and the tests' own should be there."
  }
}

run "has_what_is_off_unless_it_is_asked_for" {
  variables {
    database         = { url_parameter_name = "/faces/database-url" }
    alarm_email      = "operators@example.com"
    alarm_topic_arns = ["arn:aws:sns:us-east-1:123456789012:pager"]
    reprocess        = { enabled = true }
    inventory        = { enabled = true }
    moderation       = "reports"
  }

  assert {
    condition     = output.reviews_table == "avatar-ops-test-reviews" && contains(keys(output.function_names), "report")
    error_message = "Reports need a table and a function."
  }

  assert {
    condition = {
      for statement in jsondecode(module.report[0].policy).Statement : statement.Sid => [statement.Action, statement.Resource]
      if statement.Sid != "WriteLogs"
      } == {
      SeeCurrentAvatar = [["s3:GetObject"], ["arn:aws:s3:::assets/avatars/*"]]
      SeeMissingAvatar = [["s3:ListBucket"], ["arn:aws:s3:::assets"]]
      CountReports     = [["dynamodb:UpdateItem"], ["arn:aws:dynamodb:eu-central-1:123456789012:table/limits"]]
      TakeReports      = [["dynamodb:UpdateItem"], ["arn:aws:dynamodb:eu-central-1:123456789012:table/limits"]]
      SeeOldest        = [["dynamodb:Query"], ["arn:aws:dynamodb:eu-central-1:123456789012:table/limits/index/waiting"]]
    }
    error_message = "report may see what is shown, count, and put it on the list; it deletes and decides nothing."
  }

  assert {
    condition = {
      for statement in jsondecode(module.resize.policy).Statement : statement.Sid => statement.Action
      if contains(["LookAtReviews", "HoldUploads", "AskVerdictFunction"], statement.Sid)
    } == { LookAtReviews = ["dynamodb:Query"] }
    error_message = "Where nothing is held, resize may only look at what was decided."
  }

  assert {
    condition     = output.function_names["profiles"] == "avatar-ops-test-profiles"
    error_message = "With a database there should be a function for profiles."
  }

  assert {
    condition     = !contains(jsondecode(module.profiles[0].policy).Statement[*].Sid, "DecryptDatabaseUrl")
    error_message = "AWS's own key needs no permission."
  }

  assert {
    condition     = length(module.alarm_topic) == 1 && length(module.cdn_alarm_topic) == 1
    error_message = "Alarms of both regions should reach the address."
  }

  assert {
    condition     = output.reprocess_role_arn != null
    error_message = "A job needs a role."
  }
}

run "holds_every_upload" {
  variables {
    moderation = "all"
  }

  assert {
    condition = {
      for statement in jsondecode(module.resize.policy).Statement : statement.Sid => statement.Action
      if contains(["LookAtReviews", "HoldUploads", "AskVerdictFunction"], statement.Sid)
    } == { LookAtReviews = ["dynamodb:Query"], HoldUploads = ["dynamodb:UpdateItem"] }
    error_message = "Where all is held, resize asks nobody."
  }
}

run "asks_a_function_what_to_hold" {
  variables {
    moderation                      = "suspicious"
    moderation_verdict_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:judge"
  }

  assert {
    condition = {
      for statement in jsondecode(module.resize.policy).Statement : statement.Sid => [statement.Action, statement.Resource]
      if contains(["LookAtReviews", "HoldUploads", "AskVerdictFunction"], statement.Sid)
      } == {
      LookAtReviews      = [["dynamodb:Query"], ["arn:aws:dynamodb:eu-central-1:123456789012:table/limits"]]
      HoldUploads        = [["dynamodb:UpdateItem"], ["arn:aws:dynamodb:eu-central-1:123456789012:table/limits"]]
      AskVerdictFunction = [["lambda:InvokeFunction"], ["arn:aws:lambda:eu-central-1:123456789012:function:judge"]]
    }
    error_message = "resize may call the one verdict function, and hold."
  }

  assert {
    condition     = !contains(keys(output.function_names), "rekognition")
    error_message = "What wasn't asked for should not be made."
  }
}

run "asks_rekognition_what_to_hold" {
  variables {
    moderation             = "suspicious"
    moderation_rekognition = {}
  }

  assert {
    condition = {
      for statement in jsondecode(module.rekognition[0].policy).Statement : statement.Sid => [statement.Action, statement.Resource]
      if statement.Sid != "WriteLogs"
    } == { DetectLabels = [["rekognition:DetectModerationLabels"], ["*"]] }
    error_message = "The function may ask Rekognition, and read no bucket."
  }
}

run "gives_each_role_what_it_needs" {
  variables {
    database = { url_parameter_name = "/faces/database-url", kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/one" }
  }

  assert {
    condition = {
      for statement in jsondecode(module.presign.policy).Statement : statement.Sid => [statement.Action, statement.Resource]
      if statement.Sid != "WriteLogs"
      } == {
      UploadOriginals = [["s3:PutObject"], ["arn:aws:s3:::uploads/*"]]
      LookAtLimits    = [["dynamodb:GetItem"], ["arn:aws:dynamodb:eu-central-1:123456789012:table/limits"]]
    }
    error_message = "presign may put originals and look at a user's limits, and nothing else."
  }

  assert {
    condition     = jsondecode(module.authorizer.policy).Statement[*].Sid == ["WriteLogs"]
    error_message = "The authorizer may write its logs, and nothing else."
  }

  assert {
    condition     = module.authorizer.timeout == 10
    error_message = "The authorizer should have time for two slow tries to fetch the pool's keys."
  }

  assert {
    condition = {
      for statement in jsondecode(module.resize.policy).Statement : statement.Sid => [statement.Action, statement.Resource]
      if statement.Sid != "WriteLogs"
      } == {
      ConsumeQueue          = [["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], ["arn:aws:sqs:eu-central-1:123456789012:queue"]]
      CountUploads          = [["dynamodb:UpdateItem"], ["arn:aws:dynamodb:eu-central-1:123456789012:table/limits"]]
      AnnounceLeftovers     = [["sqs:SendMessage"], ["arn:aws:sqs:eu-central-1:123456789012:queue"]]
      ReadOriginals         = [["s3:GetObject", "s3:GetObjectVersion"], ["arn:aws:s3:::uploads/*"]]
      MarkRejectedOriginals = [["s3:PutObjectVersionTagging"], ["arn:aws:s3:::uploads/*"]]
      MarkRemovedAvatars    = [["s3:PutObjectTagging"], ["arn:aws:s3:::assets/avatars/*"]]
      SeeCurrentAvatar      = [["s3:GetObject"], ["arn:aws:s3:::assets/avatars/*"]]
      SeeDefaultBanner      = [["s3:GetObject"], ["arn:aws:s3:::assets/banners/banner.jpg"]]
      SeeMissingAvatar      = [["s3:ListBucket"], ["arn:aws:s3:::assets"]]
      SeeMissingOriginal    = [["s3:ListBucket"], ["arn:aws:s3:::uploads"]]
      SeeRejections         = [["s3:GetObjectVersionTagging"], ["arn:aws:s3:::uploads/*"]]
      WriteImages           = [["s3:PutObject"], ["arn:aws:s3:::assets/avatars/*", "arn:aws:s3:::assets/variants/*", "arn:aws:s3:::assets/rejections/*"]]
    }
    error_message = "resize may read originals, mark them, and write images; never change the banner of all."
  }

  assert {
    condition = {
      for statement in jsondecode(module.crop.policy).Statement : statement.Sid => [statement.Action, statement.Resource]
      if statement.Sid != "WriteLogs"
      } == {
      ReadOriginals      = [["s3:GetObject"], ["arn:aws:s3:::uploads/*"]]
      WriteOriginals     = [["s3:PutObject"], ["arn:aws:s3:::uploads/*"]]
      SeeRefusals        = [["s3:GetObjectTagging"], ["arn:aws:s3:::uploads/*"]]
      SeeMissingOriginal = [["s3:ListBucket"], ["arn:aws:s3:::uploads"]]
      LookAtLimits       = [["dynamodb:GetItem"], ["arn:aws:dynamodb:eu-central-1:123456789012:table/limits"]]
    }
    error_message = "crop may copy originals and look at a user's limits, and nothing else."
  }

  assert {
    condition = {
      for statement in jsondecode(module.remove.policy).Statement : statement.Sid => [statement.Action, statement.Resource]
      if statement.Sid != "WriteLogs"
      } == {
      MarkDeleted   = [["s3:DeleteObject"], ["arn:aws:s3:::uploads/*"]]
      CountRemovals = [["dynamodb:UpdateItem"], ["arn:aws:dynamodb:eu-central-1:123456789012:table/limits"]]
    }
    error_message = "remove may put delete markers and count them, and nothing else: no version is deleted for good."
  }

  assert {
    condition = {
      for statement in jsondecode(module.cleanup.policy).Statement : statement.Sid => [statement.Action, statement.Resource]
      if statement.Sid != "WriteLogs"
      } == {
      ConsumeQueue     = [["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], ["arn:aws:sqs:eu-central-1:123456789012:queue"]]
      SeeCurrentAvatar = [["s3:GetObject"], ["arn:aws:s3:::assets/avatars/*"]]
      ListImages       = [["s3:ListBucket"], ["arn:aws:s3:::assets"]]
      DeleteLeftovers  = [["s3:DeleteObject"], ["arn:aws:s3:::assets/variants/*", "arn:aws:s3:::assets/rejections/*"]]
      QueueAgain       = [["sqs:SendMessage"], ["arn:aws:sqs:eu-central-1:123456789012:queue"]]
    }
    error_message = "cleanup may delete variants and rejections, never an avatar or an original."
  }

  assert {
    condition = {
      for statement in jsondecode(module.profiles[0].policy).Statement : statement.Sid => [statement.Action, statement.Resource]
      if statement.Sid != "WriteLogs"
      } == {
      ReadDatabaseUrl    = [["ssm:GetParameter"], ["arn:aws:ssm:eu-central-1:123456789012:parameter/faces/database-url"]]
      DecryptDatabaseUrl = [["kms:Decrypt"], ["arn:aws:kms:eu-central-1:123456789012:key/one"]]
      SeeCurrentAvatar   = [["s3:GetObject"], ["arn:aws:s3:::assets/avatars/*"]]
      SeeMissingAvatar   = [["s3:ListBucket"], ["arn:aws:s3:::assets"]]
    }
    error_message = "profiles may read one parameter and see avatars, and nothing else."
  }

  assert {
    condition = {
      for statement in jsondecode(module.profiles[0].policy).Statement : statement.Sid => statement.Condition
      if can(statement.Condition)
      } == {
      DecryptDatabaseUrl = { StringEquals = { "kms:EncryptionContext:PARAMETER_ARN" = "arn:aws:ssm:eu-central-1:123456789012:parameter/faces/database-url" } }
    }
    error_message = "The key should decrypt that parameter only."
  }
}

run "serves_under_a_domain" {
  variables {
    domain_name = "example.com"
  }

  assert {
    condition     = output.api_url == "https://api.example.com" && output.assets_url == "https://assets.example.com"
    error_message = "With a domain its names should be given."
  }

  assert {
    condition = module.dns[0].names == {
      api         = module.dns[0].names["api"]
      assets      = module.dns[0].names["assets"]
      assets-ipv6 = module.dns[0].names["assets-ipv6"]
    }
    error_message = "API and images should have their names."
  }

  assert {
    condition     = module.api.own_name_disabled
    error_message = "With a domain, API Gateway's own name should answer nothing."
  }
}

run "serves_where_an_emulator_does" {
  variables {
    domain_name    = "avatars.test"
    hosted_zone_id = "Z0123456789"

    service_urls = {
      api    = "http://localhost:4566/_aws/execute-api/%s/$default"
      assets = "http://%s.cloudfront.localhost:4566"
    }
  }

  assert {
    condition     = output.api_url == "http://localhost:4566/_aws/execute-api/api123/$default"
    error_message = "The API's address should hold its id."
  }

  assert {
    condition     = output.assets_url == "http://d111111abcdef8.cloudfront.localhost:4566"
    error_message = "The images' address should hold the first label of the distribution's name."
  }
}

run "takes_the_applications_own_pool" {
  variables {
    user_pool = { id = "eu-central-1_TheirPool", client_id = "theirclient" }
  }

  assert {
    condition     = length(module.identity) == 0
    error_message = "No second pool should be made."
  }

  assert {
    condition     = output.user_pool_id == "eu-central-1_TheirPool" && output.user_pool_client_id == "theirclient"
    error_message = "The pool given should be the one used."
  }

  assert {
    condition     = toset(keys(aws_cognito_user_group.this)) == toset(["operators", "viewers", "test-users"])
    error_message = "The console's two groups and the tests' own should be there."
  }
}

run "leaves_the_groups_of_the_applications_own_pool_alone_when_told_to" {
  variables {
    user_pool = { id = "eu-west-1_AbCdEfGhI", client_id = "one", other_client_ids = ["two"], make_groups = false }
  }

  assert {
    condition     = length(aws_cognito_user_group.this) == 0
    error_message = "Groups were made in a pool that is not to be changed."
  }
}

run "refuses_wrong_avatar_settings" {
  command = plan

  variables {
    avatar_sizes     = [512, 512]
    avatar_formats   = ["gif"]
    max_upload_bytes = 0
  }

  expect_failures = [var.avatar_sizes, var.avatar_formats, var.max_upload_bytes]
}

run "makes_each_size_in_each_format_of_the_old_settings_with_a_warning" {
  command = plan

  variables {
    avatar_sizes   = [64]
    avatar_formats = ["webp"]
  }

  assert {
    condition     = output.avatar_variants == tolist(["512.jpg", "512.webp", "64.jpg", "64.webp"])
    error_message = "The old settings should make what they made, 512.jpg always."
  }

  expect_failures = [check.replaced_settings]
}

run "refuses_malformed_names" {
  command = plan

  variables {
    project           = "Avatars"
    environment       = "production-in-frankfurt"
    region            = "eu-central-1a"
    domain_name       = "https://example.com"
    front_end_origins = ["*"]
    avatar_variants   = { "0512" = ["jpg"] }
    banner_variants   = { "1000" = ["jpg"] }
  }

  expect_failures = [
    var.project,
    var.environment,
    var.region,
    var.domain_name,
    var.front_end_origins,
    var.avatar_variants,
    var.banner_variants,
  ]
}

run "refuses_wrong_settings" {
  command = plan

  variables {
    domain_name             = "example.com"
    hosted_zone_name        = "ample.com"
    front_end_origins       = []
    resize                  = { maximum_concurrency = 1 }
    authorizer_ttl_seconds  = 7200
    api_throttling          = { rate_limit = 0 }
    user_pool_tier          = "FREE"
    other_app_clients       = ["front-end"]
    user_pool_email         = { source_arn = "example.com", from = "no-reply@example.com" }
    authorizer              = { clock_tolerance_seconds = 301 }
    cors_request_headers    = ["*"]
    originals_storage       = { class = "DEEP_ARCHIVE" }
    hosted_zone_id          = "example.com"
    log_retention_days      = 10
    noncurrent_version_days = 0
    price_class             = "PriceClass_1"
    viewer_protocol_policy  = "http"
    avatar_variants         = {}
    banner_variants         = {}
    region                  = "us-gov-west-1"
    inventory               = { enabled = true, days = 1 }
  }

  expect_failures = [
    var.hosted_zone_name,
    var.front_end_origins,
    var.resize,
    var.authorizer_ttl_seconds,
    var.api_throttling,
    var.user_pool_tier,
    var.other_app_clients,
    var.user_pool_email,
    var.authorizer,
    var.cors_request_headers,
    var.originals_storage,
    var.hosted_zone_id,
    var.log_retention_days,
    var.noncurrent_version_days,
    var.price_class,
    var.viewer_protocol_policy,
    var.avatar_variants,
    var.banner_variants,
    var.region,
    var.inventory,
  ]
}

run "refuses_wrong_addresses" {
  command = plan

  variables {
    front_end_origins      = ["https://example.com/"]
    user_pool              = { id = "pool", client_id = "client" }
    jwks_url               = "localhost/jwks.json"
    webhook_url            = "http://hooks.example.com"
    alarm_email            = "operators"
    alarm_topic_arns       = ["arn:aws:sns:eu-west-1:123456789012:pager"]
    service_urls           = { api = "http://localhost/", assets = "http://localhost/" }
    database               = { url_parameter_name = "postgresql://user:password@host/database" }
    moderation             = "all"
    moderation_rekognition = {}
    avatar_variants        = { "512" = ["jpg"] }
    avatar_sizes           = [512]
  }

  expect_failures = [
    var.front_end_origins,
    var.database,
    var.user_pool,
    var.jwks_url,
    var.webhook_url,
    var.alarm_email,
    var.alarm_topic_arns,
    var.service_urls,
    var.moderation,
    var.avatar_variants,
  ]
}

run "refuses_settings_that_do_not_go_together" {
  command = plan

  variables {
    database               = { url_parameter_name = "/faces/database-url", subnet_ids = ["subnet-1"] }
    moderation             = "suspicious"
    max_upload_bytes       = 33554433
    avatar_variants        = { "512" = ["jpg", "gif"] }
    banner_variants        = { "600" = ["webp", "webp"] }
    resize                 = { timeout = 60 }
    replaced_image_seconds = 120
  }

  expect_failures = [
    var.database,
    var.moderation,
    var.max_upload_bytes,
    var.avatar_variants,
    var.banner_variants,
    var.replaced_image_seconds,
  ]
}

run "makes_the_pairs_of_size_and_format_and_calls_a_webhook_without_tls_when_told_to" {
  command = plan

  variables {
    avatar_variants    = { "96" = ["avif", "webp"], "1024" = ["jpg"] }
    banner_variants    = { "600" = ["webp", "jpg"], "3000" = ["avif"] }
    webhook_url        = "http://localhost:9000/avatars"
    allow_http_webhook = true
  }

  assert {
    condition     = output.avatar_variants == tolist(["1024.jpg", "96.webp", "96.avif"])
    error_message = "The pairs should be made, and no other."
  }

  assert {
    condition     = output.banner_variants == tolist(["3000x1000.avif", "600x200.jpg", "600x200.webp"])
    error_message = "Banners should be made in their pairs, three times as wide as high."
  }
}
