data "aws_caller_identity" "this" {}

locals {
  inventory_statements = var.inventory_days == null ? [] : [
    {
      Sid       = "WriteInventories"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "s3:PutObject"
      Resource  = ["${aws_s3_bucket.this.arn}/inventory/*"]
      Condition = {
        StringEquals = {
          "aws:SourceArn"     = aws_s3_bucket.this.arn
          "aws:SourceAccount" = data.aws_caller_identity.this.account_id
        }
      }
    }
  ]

  reader_statements = [
    for sid, reader in var.service_readers : {
      Sid       = sid
      Effect    = "Allow"
      Principal = { Service = reader.service }
      Action    = "s3:GetObject"
      Resource  = [for prefix in reader.prefixes : "${aws_s3_bucket.this.arn}/${prefix}*"]
      Condition = { StringEquals = { "aws:SourceArn" = reader.source_arn } }
    }
  ]

  transport_statements = var.deny_insecure_transport ? [
    {
      Sid       = "RefusePlainHttp"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }
  ] : []
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:Reads are logged by nobody on purpose: avatars are public, and a log of who looks at whom is personal data
  #checkov:skip=CKV_AWS_144:One region; the originals' old versions guard against mistakes, not against the loss of a region
  #checkov:skip=CKV_AWS_145:SSE-S3 encrypts at rest; a KMS key would add a request charge to each image read
  #checkov:skip=CKV2_AWS_6:It is below; checkov doesn't follow its name through the ownership controls, which come first
  #checkov:skip=CKV2_AWS_62:Notifications belong to the image pipeline, which configures them for both buckets
  bucket = var.name

  # Of a bucket that is there, a change would make another.
  object_lock_enabled = var.object_lock
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket = aws_s3_bucket_ownership_controls.this.bucket

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "this" {
  # With Object Lock, S3 keeps versions by itself.
  count = var.versioned && !var.object_lock ? 1 : 0

  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  #checkov:skip=CKV_AWS_300:The first rule does it; the check loses sight of it beside rules that depend on a variable
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "abort-unfinished-multipart-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  dynamic "rule" {
    for_each = var.versioned ? [1] : []

    content {
      id     = "expire-old-versions"
      status = "Enabled"

      filter {}

      expiration {
        expired_object_delete_marker = true
      }

      noncurrent_version_expiration {
        noncurrent_days = var.noncurrent_version_days
      }
    }
  }

  dynamic "rule" {
    for_each = merge(var.expiring_prefixes, var.inventory_days == null ? {} : { "inventory/" = var.inventory_days })

    content {
      id     = "expire-${trimsuffix(rule.key, "/")}"
      status = "Enabled"

      filter {
        prefix = rule.key
      }

      expiration {
        days = rule.value
      }
    }
  }

  dynamic "rule" {
    for_each = var.storage_transition == null ? [] : [var.storage_transition]

    content {
      id     = "move-to-cheaper-storage"
      status = "Enabled"

      # Below this size the cheaper classes cost more.
      filter {
        object_size_greater_than = 128 * 1024
      }

      transition {
        days          = rule.value.days
        storage_class = rule.value.class
      }
    }
  }

  dynamic "rule" {
    for_each = var.expiring_tags

    content {
      id     = "expire-${rule.key}"
      status = "Enabled"

      filter {
        tag {
          key   = rule.key
          value = "true"
        }
      }

      expiration {
        days = rule.value
      }

      dynamic "noncurrent_version_expiration" {
        for_each = var.versioned ? [1] : []

        content {
          noncurrent_days = rule.value
        }
      }
    }
  }

  # Rules about old versions are refused by a bucket that doesn't keep any.
  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_cors_configuration" "this" {
  count = length(var.upload_origins) + length(var.read_origins) > 0 ? 1 : 0

  bucket = aws_s3_bucket.this.id

  # Any header: tracing libraries add theirs to every request, and what isn't signed changes nothing.
  dynamic "cors_rule" {
    for_each = length(var.upload_origins) > 0 ? [1] : []

    content {
      allowed_origins = var.upload_origins
      allowed_methods = ["PUT"]
      allowed_headers = ["*"]
      expose_headers  = ["ETag", "x-amz-version-id"]
      max_age_seconds = 3600
    }
  }

  dynamic "cors_rule" {
    for_each = length(var.read_origins) > 0 ? [1] : []

    content {
      allowed_origins = var.read_origins
      allowed_methods = ["GET", "HEAD"]
      allowed_headers = ["*"]
      max_age_seconds = 3600
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  count = length(var.service_readers) + length(local.inventory_statements) > 0 || var.deny_insecure_transport ? 1 : 0

  bucket = aws_s3_bucket.this.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.reader_statements, local.inventory_statements, local.transport_statements)
  })

  # S3 refuses two changes of one bucket's access at the same time.
  depends_on = [aws_s3_bucket_public_access_block.this, aws_s3_bucket_ownership_controls.this]
}

# What there is each day, for who would otherwise ask for each object.
resource "aws_s3_bucket_inventory" "this" {
  count = var.inventory_days == null ? 0 : 1

  bucket                   = aws_s3_bucket.this.id
  name                     = "daily"
  included_object_versions = "Current"
  optional_fields          = ["LastModifiedDate"]

  schedule {
    frequency = "Daily"
  }

  # Without a slash: S3 would write two, and name one in the manifest.
  destination {
    bucket {
      bucket_arn = aws_s3_bucket.this.arn
      prefix     = "inventory"
      format     = "CSV"
    }
  }

  depends_on = [aws_s3_bucket_policy.this]
}
