mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name = "avatars-test"
}

run "is_private_and_encrypted" {
  module {
    source = "./modules/bucket"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "Some way of making the bucket public is open."
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "ACLs are in force."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "Objects are not encrypted by default."
  }

  assert {
    condition     = aws_s3_bucket.this.force_destroy != true
    error_message = "A destroy would delete objects without being told to."
  }

  assert {
    condition = jsondecode(aws_s3_bucket_policy.this[0].policy).Statement == [
      {
        Sid       = "RefusePlainHttp"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }
    ]
    error_message = "The policy should refuse plain HTTP, and say nothing else."
  }

  assert {
    condition     = length(aws_s3_bucket_versioning.this) == 0 && length(aws_s3_bucket_cors_configuration.this) == 0 && length(aws_s3_bucket_inventory.this) == 0
    error_message = "Versions, browser uploads and lists should be off unless asked for."
  }

  assert {
    condition     = one(aws_s3_bucket_lifecycle_configuration.this.rule).id == "abort-unfinished-multipart-uploads"
    error_message = "Unfinished multipart uploads should be the only thing to go."
  }
}

run "keeps_old_versions_for_a_while" {
  module {
    source = "./modules/bucket"
  }

  variables {
    versioned               = true
    noncurrent_version_days = 12
  }

  assert {
    condition     = aws_s3_bucket_versioning.this[0].versioning_configuration[0].status == "Enabled"
    error_message = "Versions are not kept."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[1].noncurrent_version_expiration[0].noncurrent_days == 12
    error_message = "Old versions should go after the days asked for."
  }
}

run "expires_tagged_objects" {
  module {
    source = "./modules/bucket"
  }

  variables {
    expiring_tags = { avatar-removed = 30 }
  }

  assert {
    condition = (
      length(aws_s3_bucket_lifecycle_configuration.this.rule) == 2 &&
      aws_s3_bucket_lifecycle_configuration.this.rule[1].filter[0].tag[0].key == "avatar-removed" &&
      aws_s3_bucket_lifecycle_configuration.this.rule[1].filter[0].tag[0].value == "true" &&
      aws_s3_bucket_lifecycle_configuration.this.rule[1].expiration[0].days == 30
    )
    error_message = "What is tagged so should expire after 30 days, and nothing else."
  }
}

run "expires_tagged_versions_too" {
  module {
    source = "./modules/bucket"
  }

  variables {
    versioned     = true
    expiring_tags = { avatar-erased = 1 }
  }

  assert {
    condition = (
      aws_s3_bucket_lifecycle_configuration.this.rule[2].filter[0].tag[0].key == "avatar-erased" &&
      aws_s3_bucket_lifecycle_configuration.this.rule[2].expiration[0].days == 1 &&
      aws_s3_bucket_lifecycle_configuration.this.rule[2].noncurrent_version_expiration[0].noncurrent_days == 1
    )
    error_message = "What is tagged so should be gone for good soon, old versions included."
  }
}

run "locks_objects" {
  module {
    source = "./modules/bucket"
  }

  variables {
    versioned   = true
    object_lock = true
  }

  assert {
    condition     = aws_s3_bucket.this.object_lock_enabled && length(aws_s3_bucket_versioning.this) == 0
    error_message = "A bucket with Object Lock keeps versions by itself."
  }
}

run "locks_versions_only" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    object_lock = true
  }

  expect_failures = [var.object_lock]
}

run "expires_prefixes" {
  module {
    source = "./modules/bucket"
  }

  variables {
    expiring_prefixes = { "rejections/" = 90 }
  }

  assert {
    condition = (
      aws_s3_bucket_lifecycle_configuration.this.rule[1].filter[0].prefix == "rejections/" &&
      aws_s3_bucket_lifecycle_configuration.this.rule[1].expiration[0].days == 90
    )
    error_message = "Rejections should expire after 90 days, and nothing else."
  }
}

run "takes_uploads_from_the_front_ends_only" {
  module {
    source = "./modules/bucket"
  }

  variables {
    upload_origins = ["https://app.example.com"]
  }

  assert {
    condition     = one(aws_s3_bucket_cors_configuration.this[0].cors_rule).allowed_origins == toset(["https://app.example.com"])
    error_message = "CORS should admit the given origins only."
  }

  assert {
    condition     = one(aws_s3_bucket_cors_configuration.this[0].cors_rule).allowed_methods == toset(["PUT"])
    error_message = "A page may do nothing but PUT."
  }

  assert {
    condition     = one(aws_s3_bucket_cors_configuration.this[0].cors_rule).expose_headers == toset(["ETag", "x-amz-version-id"])
    error_message = "A page needs to read the ETag of what it uploaded."
  }

  assert {
    condition     = one(aws_s3_bucket_cors_configuration.this[0].cors_rule).allowed_headers == toset(["*"])
    error_message = "A tracing library's header should not stop an upload."
  }
}

run "lets_the_front_ends_read" {
  module {
    source = "./modules/bucket"
  }

  variables {
    read_origins = ["https://app.example.com"]
  }

  assert {
    condition     = one(aws_s3_bucket_cors_configuration.this[0].cors_rule).allowed_methods == toset(["GET", "HEAD"])
    error_message = "A page's preflight for a read should be answered."
  }
}

run "moves_originals_to_a_cheaper_class" {
  module {
    source = "./modules/bucket"
  }

  variables {
    storage_transition = { class = "INTELLIGENT_TIERING", days = 30 }
  }

  assert {
    condition = anytrue([
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule :
      try(one(rule.transition).storage_class == "INTELLIGENT_TIERING" && one(rule.transition).days == 30, false)
    ])
    error_message = "Originals should move to the class asked for."
  }
}

run "lets_a_service_read_some_prefixes" {
  module {
    source = "./modules/bucket"
  }

  variables {
    deny_insecure_transport = false

    service_readers = {
      ReadByDistribution = {
        service    = "cloudfront.amazonaws.com"
        source_arn = "arn:aws:cloudfront::123456789012:distribution/E1"
        prefixes   = ["avatars/"]
      }
    }
  }

  assert {
    condition = jsondecode(aws_s3_bucket_policy.this[0].policy).Statement == [
      {
        Sid       = "ReadByDistribution"
        Effect    = "Allow"
        Principal = { Service = "cloudfront.amazonaws.com" }
        Action    = "s3:GetObject"
        Resource  = ["arn:aws:s3:::bucket/avatars/*"]
        Condition = { StringEquals = { "aws:SourceArn" = "arn:aws:cloudfront::123456789012:distribution/E1" } }
      }
    ]
    error_message = "The service should read that prefix for that resource, and nothing else."
  }
}

run "lists_its_objects_each_day" {
  module {
    source = "./modules/bucket"
  }

  variables {
    deny_insecure_transport = false
    inventory_days          = 5
  }

  assert {
    condition = jsondecode(aws_s3_bucket_policy.this[0].policy).Statement == [
      {
        Sid       = "WriteInventories"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = ["arn:aws:s3:::bucket/inventory/*"]
        Condition = { StringEquals = { "aws:SourceArn" = "arn:aws:s3:::bucket", "aws:SourceAccount" = "123456789012" } }
      }
    ]
    error_message = "S3 should write lists of this bucket there, for this account, and nothing else."
  }

  assert {
    condition = (
      one(aws_s3_bucket_inventory.this).included_object_versions == "Current" &&
      one(aws_s3_bucket_inventory.this).optional_fields == toset(["LastModifiedDate"]) &&
      one(one(aws_s3_bucket_inventory.this).schedule).frequency == "Daily" &&
      one(aws_s3_bucket_inventory.this).destination[0].bucket[0].format == "CSV" &&
      one(aws_s3_bucket_inventory.this).destination[0].bucket[0].bucket_arn == "arn:aws:s3:::bucket" &&
      one(aws_s3_bucket_inventory.this).destination[0].bucket[0].prefix == "inventory" &&
      one(aws_s3_bucket_inventory.this).name == "daily"
    )
    error_message = "`make reconcile INVENTORY=1` reads keys and times from CSV at inventory/<bucket>/daily/."
  }

  assert {
    condition = (
      aws_s3_bucket_lifecycle_configuration.this.rule[1].filter[0].prefix == "inventory/" &&
      aws_s3_bucket_lifecycle_configuration.this.rule[1].expiration[0].days == 5
    )
    error_message = "Lists should go after the days asked for."
  }
}

run "needs_no_policy_without_statements" {
  module {
    source = "./modules/bucket"
  }

  variables {
    deny_insecure_transport = false
  }

  assert {
    condition     = length(aws_s3_bucket_policy.this) == 0
    error_message = "A policy without statements is refused by S3."
  }
}

run "refuses_a_bad_name" {
  command = plan

  module {
    source = "./modules/bucket"
  }

  variables {
    name = "Avatars_"
  }

  expect_failures = [var.name]
}
