resource "aws_sns_topic" "this" {
  #checkov:skip=CKV_AWS_26:Messages name public objects; S3 can't publish through the AWS managed key, and an own key costs more than it guards
  name              = local.topic_name
  signature_version = 2 # SHA-256; 1 is SHA-1

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "PublishAvatarEvents"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = {
          ArnEquals    = { "aws:SourceArn" = var.assets_bucket.arn }
          StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id }
        }
      }
    ]
  })
}

resource "aws_s3_bucket_notification" "assets" {
  bucket = var.assets_bucket.name

  topic {
    id            = "avatars"
    topic_arn     = aws_sns_topic.this.arn
    events        = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    filter_prefix = "avatars/"
  }
}

resource "aws_lambda_permission" "subscriber" {
  for_each = var.subscriber_functions

  statement_id  = "CallOnNewAvatar"
  function_name = each.value.name
  qualifier     = each.value.alias
  action        = "lambda:InvokeFunction"
  principal     = "sns.amazonaws.com"
  source_arn    = aws_sns_topic.this.arn
}

resource "aws_sns_topic_subscription" "function" {
  for_each = var.subscriber_functions

  topic_arn = aws_sns_topic.this.arn
  protocol  = "lambda"
  endpoint  = each.value.arn

  depends_on = [aws_lambda_permission.subscriber]
}

resource "aws_sns_topic_subscription" "webhook" {
  count = var.webhook_url == null ? 0 : 1

  topic_arn = aws_sns_topic.this.arn
  protocol  = split(":", var.webhook_url)[0]
  endpoint  = var.webhook_url

  # SNS's own policy gives up after three tries within a minute; an hour is the most that it allows.
  delivery_policy = jsonencode({
    healthyRetryPolicy = {
      minDelayTarget     = 5
      maxDelayTarget     = 120
      numRetries         = 40
      numNoDelayRetries  = 0
      numMinDelayRetries = 3
      numMaxDelayRetries = 20
      backoffFunction    = "exponential"
    }
  })

  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.webhook_dead_letters[0].arn })
}

# Notifications that the webhook did not take within the hour.
resource "aws_sqs_queue" "webhook_dead_letters" {
  count = var.webhook_url == null ? 0 : 1

  name                      = local.webhook_dead_letters_name
  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "KeepUndelivered"
        Effect    = "Allow"
        Principal = { Service = "sns.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.webhook_dead_letters_arn
        Condition = { ArnEquals = { "aws:SourceArn" = local.topic_arn } }
      }
    ]
  })
}
