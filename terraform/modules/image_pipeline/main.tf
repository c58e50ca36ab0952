# uploads bucket ─► queue ─► resize function ─► assets bucket ─► topic ─► subscribers
#                     │            └─► cleanup queue ─► cleanup function
#                     └─► dead-letter queue

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  queue_name        = "${var.name}-uploads"
  dead_letters_name = "${local.queue_name}-dead-letters"

  # Composed, so that each queue is created with its policy: the provider waits 25 s after
  # each change of a queue, and policies of their own would make it four waits in a row.
  queue_arn = join(":", [
    "arn", data.aws_partition.this.partition, "sqs", data.aws_region.this.id,
    data.aws_caller_identity.this.account_id, local.queue_name,
  ])

  webhook_dead_letters_name = "${var.name}-webhook-dead-letters"
  webhook_dead_letters_arn = join(":", [
    "arn", data.aws_partition.this.partition, "sqs", data.aws_region.this.id,
    data.aws_caller_identity.this.account_id, local.webhook_dead_letters_name,
  ])

  # Composed too: S3 refuses to notify a topic whose policy isn't there yet.
  topic_name = "${var.name}-avatars"
  topic_arn = join(":", [
    "arn", data.aws_partition.this.partition, "sns", data.aws_region.this.id,
    data.aws_caller_identity.this.account_id, local.topic_name,
  ])
}

resource "aws_sqs_queue" "this" {
  name = local.queue_name

  # Six times the function's timeout, as AWS advises: a batch that is throttled and retried
  # must not appear to a second consumer meanwhile.
  visibility_timeout_seconds = 6 * var.resize_timeout
  message_retention_seconds  = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    # A throttled call counts as one, and so does a 404 of a bucket whose versioning is young.
    maxReceiveCount = var.maximum_receives
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "SendUploadEvents"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.queue_arn
        Condition = {
          ArnEquals    = { "aws:SourceArn" = var.uploads_bucket.arn }
          StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id }
        }
      }
    ]
  })
}

resource "aws_sqs_queue" "dead_letters" {
  name = local.dead_letters_name

  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = true

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.queue_arn]
  })
}

resource "aws_s3_bucket_notification" "uploads" {
  bucket = var.uploads_bucket.name

  queue {
    id        = "uploads"
    queue_arn = aws_sqs_queue.this.arn
    events    = ["s3:ObjectCreated:*", "s3:ObjectRemoved:DeleteMarkerCreated"]
  }
}

resource "aws_lambda_event_source_mapping" "this" {
  event_source_arn = aws_sqs_queue.this.arn
  function_name    = var.resize_function_arn

  # Few at a time: a batch of the slowest pictures still ends well within the function's
  # timeout, and the death of the process costs only these few another try.
  batch_size              = 5
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.maximum_concurrency
  }
}
