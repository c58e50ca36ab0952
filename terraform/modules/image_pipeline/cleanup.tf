# The queue of avatars that have left images behind which nothing shows any longer.

locals {
  cleanup_queue_name = "${var.name}-cleanup"
  cleanup_queue_arn = join(":", [
    "arn", data.aws_partition.this.partition, "sqs", data.aws_region.this.id,
    data.aws_caller_identity.this.account_id, local.cleanup_queue_name,
  ])
}

resource "aws_sqs_queue" "cleanup" {
  name = local.cleanup_queue_name

  delay_seconds              = var.replaced_image_seconds
  visibility_timeout_seconds = 6 * var.cleanup_timeout
  message_retention_seconds  = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.cleanup_dead_letters.arn
    maxReceiveCount     = var.maximum_receives
  })
}

resource "aws_sqs_queue" "cleanup_dead_letters" {
  name = "${local.cleanup_queue_name}-dead-letters"

  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = true

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.cleanup_queue_arn]
  })
}

resource "aws_lambda_event_source_mapping" "cleanup" {
  event_source_arn = aws_sqs_queue.cleanup.arn
  function_name    = var.cleanup_function_arn

  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  # As many avatars a second as resize may make, without its headroom: nobody waits for it.
  scaling_config {
    maximum_concurrency = max(2, ceil(var.maximum_concurrency / 3))
  }
}
