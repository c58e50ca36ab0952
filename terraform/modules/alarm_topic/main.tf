data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  alarm_arns = join(":", [
    "arn", data.aws_partition.this.partition, "cloudwatch", data.aws_region.this.id,
    data.aws_caller_identity.this.account_id, "alarm", "${var.alarm_name_prefix}*",
  ])
}

resource "aws_sns_topic" "this" {
  #checkov:skip=CKV_AWS_26:Alarms hold names and numbers; CloudWatch can't publish through the AWS managed key
  name = var.name
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "PublishAlarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this.arn
        Condition = {
          StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id }
          ArnLike      = { "aws:SourceArn" = local.alarm_arns }
        }
      }
    ]
  })
}

resource "aws_sns_topic_subscription" "this" {
  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = var.email
}
