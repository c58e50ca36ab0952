resource "aws_sns_topic" "this" {
  #checkov:skip=CKV_AWS_26:Messages name public objects; S3 can't publish through the AWS managed key, and an own key costs more than it guards
  name = "${var.name}-avatars"
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TellOfAvatars"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this.arn
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

  # S3 sends a test message and refuses a topic that doesn't take it.
  depends_on = [aws_sns_topic_policy.this]
}

resource "aws_lambda_permission" "subscriber" {
  for_each = var.subscriber_functions

  statement_id  = "CallOnNewAvatar"
  function_name = each.value.name
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
}
