mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "faces-test"
  region                 = "eu-central-1"
  queue_name             = "faces-test-uploads"
  dead_letter_queue_name = "faces-test-uploads-dead-letters"
  topic_name             = "faces-test-avatars"

  cleanup_dead_letter_queue_name = "faces-test-cleanup-dead-letters"

  api_id          = "api123"
  distribution_id = "E1EXAMPLE"

  probe_function     = { name = "faces-test-probe", alias = "live", arn = "arn:aws:lambda:eu-central-1:123456789012:function:probe" }
  limiting_functions = { resize = "faces-test-resize" }

  functions = {
    resize = { name = "faces-test-resize", slow_ms = 24000 }
  }
}

run "watches_everything_and_tells_nobody" {
  module {
    source = "./modules/observability"
  }

  assert {
    condition = output.alarm_names == tolist([
      "faces-test-api-errors",
      "faces-test-cleanup-dead-letters",
      "faces-test-dead-letters",
      "faces-test-images-not-served",
      "faces-test-notifications",
      "faces-test-queue-age",
      "faces-test-resize-duration",
      "faces-test-resize-errors",
      "faces-test-resize-limits",
      "faces-test-resize-throttles",
    ])
    error_message = "An alarm is missing or too many."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.dead_letters.threshold == 0 &&
      aws_cloudwatch_metric_alarm.dead_letters.dimensions == tomap({ QueueName = "faces-test-uploads-dead-letters" })
    )
    error_message = "The first dead-letter message should raise the alarm."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.cleanup_dead_letters.threshold == 0 &&
      aws_cloudwatch_metric_alarm.cleanup_dead_letters.dimensions == tomap({ QueueName = "faces-test-cleanup-dead-letters" })
    )
    error_message = "The first image that can't be deleted should raise the alarm."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.queue_age.dimensions == tomap({ QueueName = "faces-test-uploads" })
    error_message = "The age to watch is that of the uploads' queue."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.function["resize-duration"].extended_statistic == "p99" &&
      aws_cloudwatch_metric_alarm.function["resize-duration"].threshold == 24000
    )
    error_message = "The slowest call in a hundred should be watched."
  }

  assert {
    condition = {
      for name, alarm in {
        errors        = aws_cloudwatch_metric_alarm.function["resize-errors"]
        throttles     = aws_cloudwatch_metric_alarm.function["resize-throttles"]
        api           = aws_cloudwatch_metric_alarm.api_errors
        notifications = aws_cloudwatch_metric_alarm.notifications
        limits        = aws_cloudwatch_metric_alarm.limits["resize-limits"]
      } : name => [for query in alarm.metric_query : query.expression if coalesce(query.return_data, false)]
      } == {
      errors        = ["100 * part / whole"]
      throttles     = ["100 * part / (part + FILL(whole, 0))"]
      api           = ["100 * part / whole"]
      notifications = ["100 * part / (part + FILL(whole, 0))"]
      limits        = ["100 * part / whole"]
    }
    error_message = "What may happen to one of many should be watched as a share; without any call there is none."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.function["resize-errors"].threshold == 1 && aws_cloudwatch_metric_alarm.function["resize-errors"].metric_name == null
    error_message = "More than 1 % of the calls should raise the alarm."
  }

  assert {
    condition = (
      aws_cloudwatch_log_metric_filter.limits["resize"].log_group_name == "/aws/lambda/faces-test-resize" &&
      aws_cloudwatch_log_metric_filter.limits["resize"].pattern == "{ $.message = \"limits not asked\" }" &&
      one(aws_cloudwatch_log_metric_filter.limits["resize"].metric_transformation).dimensions == tomap({ FunctionName = "$.function" }) &&
      alltrue([
        for query in aws_cloudwatch_metric_alarm.limits["resize-limits"].metric_query :
        one(query.metric).dimensions == tomap({ FunctionName = "faces-test-resize" }) if length(query.metric) > 0
      ])
    )
    error_message = "Limits that were not asked for should raise the function's own alarm."
  }

  assert {
    condition = (
      aws_cloudwatch_event_rule.probe.schedule_expression == "rate(1 minute)" &&
      aws_cloudwatch_event_target.probe.arn == var.probe_function.arn &&
      aws_lambda_permission.probe.source_arn == aws_cloudwatch_event_rule.probe.arn && aws_lambda_permission.probe.qualifier == "live" &&
      aws_cloudwatch_metric_alarm.images_not_served.dimensions == tomap({ FunctionName = "faces-test-probe" }) &&
      aws_cloudwatch_metric_alarm.images_not_served.evaluation_periods == 3
    )
    error_message = "What must be there should be fetched every minute, and three failures in a row raise the alarm."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.dead_letters.alarm_actions) == 0
    error_message = "There is nobody to tell."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 8
    error_message = "The dashboard should have its eight charts."
  }
}

run "tells_the_topics_of_every_alarm" {
  module {
    source = "./modules/observability"
  }

  variables {
    alarm_actions = ["arn:aws:sns:eu-central-1:123456789012:alarms"]
  }

  assert {
    condition = alltrue([
      for alarm in concat(
        [
          aws_cloudwatch_metric_alarm.dead_letters,
          aws_cloudwatch_metric_alarm.cleanup_dead_letters,
          aws_cloudwatch_metric_alarm.queue_age,
          aws_cloudwatch_metric_alarm.api_errors,
          aws_cloudwatch_metric_alarm.notifications,
          aws_cloudwatch_metric_alarm.images_not_served,
        ],
        values(aws_cloudwatch_metric_alarm.function),
        values(aws_cloudwatch_metric_alarm.limits),
      ) : alarm.alarm_actions == toset(var.alarm_actions) && alarm.ok_actions == toset(var.alarm_actions)
    ])
    error_message = "Every alarm should tell the region's topic when it goes on and off."
  }
}

run "watches_cloudfront_in_us_east_1" {
  module {
    source = "./modules/cdn_alarm"
  }

  variables {
    alarm_actions = ["arn:aws:sns:us-east-1:123456789012:alarms"]
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this.dimensions == tomap({ DistributionId = "E1EXAMPLE", Region = "Global" })
    error_message = "CloudFront's metrics have these two dimensions."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this.alarm_actions == toset(var.alarm_actions) &&
      aws_cloudwatch_metric_alarm.this.ok_actions == toset(var.alarm_actions)
    )
    error_message = "CloudFront's alarm should tell the topic in us-east-1."
  }
}

run "lets_this_environments_alarms_publish" {
  module {
    source = "./modules/alarm_topic"
  }

  variables {
    name              = "faces-test-alarms"
    alarm_name_prefix = "faces-test-"
    email             = "operators@example.com"
  }

  assert {
    condition = jsondecode(aws_sns_topic_policy.this.policy).Statement == [
      {
        Sid       = "PublishAlarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = "arn:aws:sns:eu-central-1:123456789012:topic"
        Condition = {
          StringEquals = { "aws:SourceAccount" = "123456789012" }
          ArnLike      = { "aws:SourceArn" = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:faces-test-*" }
        }
      }
    ]
    error_message = "Only this environment's alarms may publish to the topic."
  }

  assert {
    condition     = aws_sns_topic_subscription.this.protocol == "email" && aws_sns_topic_subscription.this.endpoint == "operators@example.com"
    error_message = "The operators should be told by mail."
  }
}

run "watches_what_waits_for_a_review" {
  module {
    source = "./modules/observability"
  }

  variables {
    reviewing = {
      report_function = { name = "faces-test-report", alias = "live", arn = "arn:aws:lambda:eu-central-1:123456789012:function:one" }
      judged_function = "faces-test-resize"
      oldest_hours    = 24
    }
  }

  assert {
    condition     = length(setintersection(output.alarm_names, ["faces-test-oldest-review", "faces-test-verdict-function"])) == 2
    error_message = "The oldest picture, and a verdict function that fails, should be watched."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.oldest_review[0].threshold == 86400 &&
      aws_cloudwatch_metric_alarm.oldest_review[0].metric_name == one(aws_cloudwatch_log_metric_filter.oldest_review[0].metric_transformation).name &&
      aws_cloudwatch_event_rule.oldest_review[0].schedule_expression == "rate(5 minutes)" &&
      aws_cloudwatch_event_target.oldest_review[0].arn == var.reviewing.report_function.arn
    )
    error_message = "How long the oldest waits should be measured every five minutes, and a day be too long."
  }

  assert {
    condition     = one(aws_cloudwatch_log_metric_filter.verdict_function[0].metric_transformation).name == "VerdictFunctionFailed"
    error_message = "What resize logs of a failed verdict function should be counted."
  }
}

run "watches_reports_without_a_verdict_function" {
  module {
    source = "./modules/observability"
  }

  variables {
    reviewing = {
      report_function = { name = "faces-test-report", alias = "live", arn = "arn:aws:lambda:eu-central-1:123456789012:function:one" }
      oldest_hours    = 1
    }
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.oldest_review) == 1 && length(aws_cloudwatch_metric_alarm.verdict_function) == 0
    error_message = "Without a verdict function none can fail."
  }
}
