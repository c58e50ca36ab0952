mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                = "faces-test"
  resize_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:faces-test-resize"
  resize_timeout      = 30
  maximum_concurrency = 2
  maximum_receives    = 8

  cleanup_function_arn   = "arn:aws:lambda:eu-central-1:123456789012:function:faces-test-cleanup"
  cleanup_timeout        = 30
  replaced_image_seconds = 900

  uploads_bucket = {
    name = "uploads"
    arn  = "arn:aws:s3:::uploads"
  }

  assets_bucket = {
    name = "assets"
    arn  = "arn:aws:s3:::assets"
  }
}

run "loses_no_upload" {
  module {
    source = "./modules/image_pipeline"
  }

  assert {
    condition     = aws_sqs_queue.this.visibility_timeout_seconds == 180
    error_message = "An upload should stay invisible for six times the function's timeout."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.this.redrive_policy).maxReceiveCount == 8
    error_message = "An upload should be tried as often as asked for."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.dead_letters.redrive_allow_policy).sourceQueueArns == ["arn:aws:sqs:eu-central-1:123456789012:faces-test-uploads"]
    error_message = "Dead-letter messages should come from the uploads' queue only."
  }

  assert {
    condition = alltrue([
      for queue in [aws_sqs_queue.this, aws_sqs_queue.dead_letters] :
      queue.message_retention_seconds == 1209600 && queue.sqs_managed_sse_enabled
    ])
    error_message = "Both queues should keep messages encrypted, and for 14 days."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this.function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "One bad upload would send its whole batch back."
  }

  assert {
    condition     = one(aws_lambda_event_source_mapping.this.scaling_config).maximum_concurrency == 2
    error_message = "The function should work on as many batches at once as asked for."
  }
}

run "hears_of_the_uploads_bucket_only" {
  module {
    source = "./modules/image_pipeline"
  }

  assert {
    condition = jsondecode(aws_sqs_queue.this.policy).Statement == [
      {
        Sid       = "SendUploadEvents"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = "arn:aws:sqs:eu-central-1:123456789012:faces-test-uploads"
        Condition = {
          ArnEquals    = { "aws:SourceArn" = "arn:aws:s3:::uploads" }
          StringEquals = { "aws:SourceAccount" = "123456789012" }
        }
      }
    ]
    error_message = "Only the uploads bucket may send to the queue."
  }

  assert {
    condition     = one(aws_s3_bucket_notification.uploads.queue).events == toset(["s3:ObjectCreated:*", "s3:ObjectRemoved:DeleteMarkerCreated"])
    error_message = "Each upload and each removal by its user, and nothing else, should be put on the queue."
  }
}

run "cleans_up_later" {
  module {
    source = "./modules/image_pipeline"
  }

  variables {
    maximum_concurrency = 30
  }

  assert {
    condition     = aws_sqs_queue.cleanup.delay_seconds == 900 && aws_sqs_queue.cleanup.visibility_timeout_seconds == 180
    error_message = "Replaced images should be kept as long as asked for."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.cleanup_dead_letters.redrive_allow_policy).sourceQueueArns == ["arn:aws:sqs:eu-central-1:123456789012:faces-test-cleanup"]
    error_message = "Its dead-letter messages should come from the cleanup queue only."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.cleanup.function_response_types == toset(["ReportBatchItemFailures"]) &&
      one(aws_lambda_event_source_mapping.cleanup.scaling_config).maximum_concurrency == 10
    )
    error_message = "One failure should not send its whole batch back, and cleaning should keep up with as many uploads as resize."
  }
}

run "tells_of_avatars_to_nobody_by_default" {
  module {
    source = "./modules/image_pipeline"
  }

  assert {
    condition = jsondecode(aws_sns_topic.this.policy).Statement == [
      {
        Sid       = "PublishAvatarEvents"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = "arn:aws:sns:eu-central-1:123456789012:faces-test-avatars"
        Condition = {
          ArnEquals    = { "aws:SourceArn" = "arn:aws:s3:::assets" }
          StringEquals = { "aws:SourceAccount" = "123456789012" }
        }
      }
    ]
    error_message = "Only the assets bucket may publish to the topic, from its first moment."
  }

  assert {
    condition     = aws_sns_topic.this.signature_version == 2
    error_message = "Messages should be signed with SHA-256."
  }

  assert {
    condition     = one(aws_s3_bucket_notification.assets.topic).filter_prefix == "avatars/"
    error_message = "Variants and rejections are nobody's news."
  }

  assert {
    condition     = one(aws_s3_bucket_notification.assets.topic).events == toset(["s3:ObjectCreated:*", "s3:ObjectRemoved:*"])
    error_message = "The topic should publish new and removed avatars."
  }

  assert {
    condition     = length(aws_sns_topic_subscription.function) == 0 && length(aws_sns_topic_subscription.webhook) == 0
    error_message = "Without functions and webhook there is nobody to tell."
  }
}

run "tells_functions_and_the_webhook" {
  module {
    source = "./modules/image_pipeline"
  }

  variables {
    webhook_url = "https://hooks.example.com/avatars"

    subscriber_functions = {
      profiles = {
        name  = "faces-test-profiles"
        alias = "live"
        arn   = "arn:aws:lambda:eu-central-1:123456789012:function:faces-test-profiles:live"
      }
    }
  }

  assert {
    condition = (
      aws_sns_topic_subscription.function["profiles"].protocol == "lambda" &&
      aws_lambda_permission.subscriber["profiles"].principal == "sns.amazonaws.com" &&
      aws_lambda_permission.subscriber["profiles"].source_arn == aws_sns_topic.this.arn
    )
    error_message = "The function should be subscribed, and callable by this topic only."
  }

  assert {
    condition = (
      aws_sns_topic_subscription.webhook[0].protocol == "https" &&
      aws_sns_topic_subscription.webhook[0].endpoint == "https://hooks.example.com/avatars"
    )
    error_message = "The webhook should be subscribed over HTTPS."
  }

  assert {
    condition = (
      jsondecode(aws_sns_topic_subscription.webhook[0].delivery_policy).healthyRetryPolicy.numRetries == 40 &&
      jsondecode(aws_sns_topic_subscription.webhook[0].redrive_policy).deadLetterTargetArn == aws_sqs_queue.webhook_dead_letters[0].arn
    )
    error_message = "A webhook that restarts should lose nothing: an hour of tries, then a queue."
  }

  assert {
    condition = jsondecode(aws_sqs_queue.webhook_dead_letters[0].policy).Statement == [
      {
        Sid       = "KeepUndelivered"
        Effect    = "Allow"
        Principal = { Service = "sns.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = "arn:aws:sqs:eu-central-1:123456789012:faces-test-webhook-dead-letters"
        Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:sns:eu-central-1:123456789012:faces-test-avatars" } }
      }
    ]
    error_message = "Only this topic may put into the webhook's dead-letter queue."
  }
}

run "reaches_a_webhook_on_ones_own_machine" {
  module {
    source = "./modules/image_pipeline"
  }

  variables {
    webhook_url = "http://localhost:9000/"
  }

  assert {
    condition     = aws_sns_topic_subscription.webhook[0].protocol == "http"
    error_message = "The protocol should be the URL's."
  }
}

run "refuses_a_concurrency_of_one" {
  command = plan

  module {
    source = "./modules/image_pipeline"
  }

  variables {
    maximum_concurrency = 1
  }

  expect_failures = [var.maximum_concurrency]
}
