locals {
  # Errors, throttles and the like are watched as shares: a single one fires at a small site, and
  # at a large one no single one keeps an alarm on for ever.
  function_alarms = merge(
    {
      for key, function in var.functions : "${key}-errors" => {
        function    = function.name
        description = "More than ${var.failed_percent} % of the calls of ${function.name} failed. See docs/runbook.md#function-errors."
        metric_name = "Errors"
        beside      = "Invocations"
        share       = "100 * part / whole"
        percentile  = null
        threshold   = var.failed_percent
        periods     = 1
      }
    },
    {
      for key, function in var.functions : "${key}-throttles" => {
        function    = function.name
        description = "More than ${var.failed_percent} % of the calls of ${function.name} were refused: the account's concurrent executions, or the function's own, are used up. See docs/runbook.md#function-throttles."
        metric_name = "Throttles"
        # Lambda counts no throttled call among them, and nothing at all if every call is.
        beside     = "Invocations"
        share      = "100 * part / (part + FILL(whole, 0))"
        percentile = null
        threshold  = var.failed_percent
        periods    = 1
      }
    },
    {
      for key, function in var.functions : "${key}-duration" => {
        function    = function.name
        description = "One call in a hundred of ${function.name} takes longer than ${function.slow_ms} ms. See docs/runbook.md#function-duration."
        metric_name = "Duration"
        beside      = null
        share       = null
        percentile  = "p99"
        threshold   = function.slow_ms
        periods     = 3
      }
    },
  )
}

# One is one upload that somebody waits for, and stays until an operator deals with it.
resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "${var.name}-dead-letters"
  alarm_description   = "An upload failed each time it was tried. See docs/runbook.md#dead-letters."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = var.dead_letter_queue_name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "cleanup_dead_letters" {
  alarm_name          = "${var.name}-cleanup-dead-letters"
  alarm_description   = "Images of a replaced or removed picture could not be deleted. See docs/runbook.md#cleanup-dead-letters."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = var.cleanup_dead_letter_queue_name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "queue_age" {
  alarm_name          = "${var.name}-queue-age"
  alarm_description   = "An upload waits for longer than ${var.queue_age_seconds} s to be resized. See docs/runbook.md#queue-age."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = var.queue_name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.queue_age_seconds
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "function" {
  for_each = local.function_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.share == null ? "AWS/Lambda" : null
  metric_name         = each.value.share == null ? each.value.metric_name : null
  dimensions          = each.value.share == null ? { FunctionName = each.value.function } : null
  extended_statistic  = each.value.percentile
  period              = each.value.share == null ? 300 : null
  evaluation_periods  = each.value.periods
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions

  dynamic "metric_query" {
    for_each = each.value.share == null ? {} : { part = each.value.metric_name, whole = each.value.beside }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/Lambda"
        metric_name = metric_query.value
        dimensions  = { FunctionName = each.value.function }
        period      = 300
        stat        = "Sum"
      }
    }
  }

  dynamic "metric_query" {
    for_each = each.value.share == null ? [] : [each.value.share]

    content {
      id          = "share"
      label       = "%"
      expression  = metric_query.value
      return_data = true
    }
  }
}

# The functions go on without the table of limits, and log it.
resource "aws_cloudwatch_log_metric_filter" "limits" {
  for_each = var.limiting_functions

  name           = "${each.value}-limits"
  log_group_name = "/aws/lambda/${each.value}"
  pattern        = "{ $.message = \"limits not asked\" }"

  metric_transformation {
    name       = "LimitsNotAsked"
    namespace  = var.name
    value      = "1"
    dimensions = { FunctionName = "$.function" }
  }
}

resource "aws_cloudwatch_metric_alarm" "limits" {
  for_each = { for key, function in var.limiting_functions : "${key}-limits" => function }

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "In more than ${var.failed_percent} % of its calls ${each.value} could not ask how many pictures a user has sent, and let them pass. See docs/runbook.md#function-limits."
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.failed_percent
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions

  dynamic "metric_query" {
    for_each = { part = [var.name, "LimitsNotAsked"], whole = ["AWS/Lambda", "Invocations"] }

    content {
      id = metric_query.key

      metric {
        namespace   = metric_query.value[0]
        metric_name = metric_query.value[1]
        dimensions  = { FunctionName = each.value }
        period      = 300
        stat        = "Sum"
      }
    }
  }

  metric_query {
    id          = "share"
    label       = "%"
    expression  = "100 * part / whole"
    return_data = true
  }
}

# CloudFront counts the default picture in the place of all others among its 4xx, of which nobody
# knows how many are usual.
resource "aws_cloudwatch_event_rule" "probe" {
  name                = "${var.name}-probe"
  description         = "Has what must be there fetched from the CDN."
  schedule_expression = "rate(1 minute)"
}

resource "aws_cloudwatch_event_target" "probe" {
  rule = aws_cloudwatch_event_rule.probe.name
  arn  = var.probe_function.arn
}

resource "aws_lambda_permission" "probe" {
  statement_id  = "CallBySchedule"
  function_name = var.probe_function.name
  qualifier     = var.probe_function.alias
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.probe.arn
}

# A count: each call is one try, and three in a row are no accident.
resource "aws_cloudwatch_metric_alarm" "images_not_served" {
  alarm_name          = "${var.name}-images-not-served"
  alarm_description   = "For three minutes the CDN has not served what must be there: users see the default avatar, or nothing. See docs/runbook.md#images-not-served."
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = var.probe_function.name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

# How long the oldest picture to be reviewed has waited is in nobody's metrics: the function is asked
# to log it.
resource "aws_cloudwatch_event_rule" "oldest_review" {
  count = var.reviewing == null ? 0 : 1

  name                = "${var.name}-oldest-review"
  description         = "Has the age of the oldest picture to be reviewed logged."
  schedule_expression = "rate(5 minutes)"
}

resource "aws_cloudwatch_event_target" "oldest_review" {
  count = var.reviewing == null ? 0 : 1

  rule = aws_cloudwatch_event_rule.oldest_review[0].name
  arn  = var.reviewing.report_function.arn
}

resource "aws_lambda_permission" "oldest_review" {
  count = var.reviewing == null ? 0 : 1

  statement_id  = "CallBySchedule"
  function_name = var.reviewing.report_function.name
  qualifier     = var.reviewing.report_function.alias
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.oldest_review[0].arn
}

resource "aws_cloudwatch_log_metric_filter" "oldest_review" {
  count = var.reviewing == null ? 0 : 1

  name           = "${var.reviewing.report_function.name}-oldest"
  log_group_name = "/aws/lambda/${var.reviewing.report_function.name}"
  pattern        = "{ $.message = \"oldest review\" }"

  metric_transformation {
    name      = "OldestReviewSeconds"
    namespace = var.name
    value     = "$.seconds"
    unit      = "Seconds"
    # So that there is something to find it by.
    dimensions = { FunctionName = "$.function" }
  }
}

resource "aws_cloudwatch_metric_alarm" "oldest_review" {
  count = var.reviewing == null ? 0 : 1

  alarm_name          = "${var.name}-oldest-review"
  alarm_description   = "A picture that was held or reported waits for longer than ${var.reviewing.oldest_hours} hours. See docs/runbook.md#oldest-review."
  namespace           = var.name
  metric_name         = "OldestReviewSeconds"
  dimensions          = { FunctionName = var.reviewing.report_function.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 3600 * var.reviewing.oldest_hours
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

# resize goes on without an answer, and logs it.
resource "aws_cloudwatch_log_metric_filter" "verdict_function" {
  count = try(var.reviewing.judged_function, null) == null ? 0 : 1

  name           = "${var.reviewing.judged_function}-verdict-function"
  log_group_name = "/aws/lambda/${var.reviewing.judged_function}"
  pattern        = "{ $.message = \"verdict function failed\" }"

  metric_transformation {
    name       = "VerdictFunctionFailed"
    namespace  = var.name
    value      = "1"
    dimensions = { FunctionName = "$.function" }
  }
}

resource "aws_cloudwatch_metric_alarm" "verdict_function" {
  count = try(var.reviewing.judged_function, null) == null ? 0 : 1

  alarm_name          = "${var.name}-verdict-function"
  alarm_description   = "In more than ${var.failed_percent} % of its calls ${var.reviewing.judged_function} got no answer of the verdict function. See docs/runbook.md#verdict-function."
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.failed_percent
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions

  dynamic "metric_query" {
    for_each = { part = [var.name, "VerdictFunctionFailed"], whole = ["AWS/Lambda", "Invocations"] }

    content {
      id = metric_query.key

      metric {
        namespace   = metric_query.value[0]
        metric_name = metric_query.value[1]
        dimensions  = { FunctionName = var.reviewing.judged_function }
        period      = 300
        stat        = "Sum"
      }
    }
  }

  metric_query {
    id          = "share"
    label       = "%"
    expression  = "100 * part / whole"
    return_data = true
  }
}

resource "aws_cloudwatch_metric_alarm" "api_errors" {
  alarm_name          = "${var.name}-api-errors"
  alarm_description   = "The API answered more than ${var.failed_percent} % of the requests with 5xx. See docs/runbook.md#api-errors."
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.failed_percent
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions

  dynamic "metric_query" {
    for_each = { part = "5xx", whole = "Count" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/ApiGateway"
        metric_name = metric_query.value
        dimensions  = { ApiId = var.api_id }
        period      = 300
        stat        = "Sum"
      }
    }
  }

  metric_query {
    id          = "share"
    label       = "%"
    expression  = "100 * part / whole"
    return_data = true
  }
}

# A function that fails has an alarm of its own; this is for a webhook that has not answered for an
# hour. NumberOfNotificationsFailed would count each try.
resource "aws_cloudwatch_metric_alarm" "notifications" {
  alarm_name          = "${var.name}-notifications"
  alarm_description   = "The webhook did not take more than ${var.failed_percent} % of the notifications within an hour; they are in the webhook's dead-letter queue. See docs/runbook.md#notifications."
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.failed_percent
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions

  dynamic "metric_query" {
    for_each = { part = "NumberOfNotificationsRedrivenToDlq", whole = "NumberOfMessagesPublished" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/SNS"
        metric_name = metric_query.value
        dimensions  = { TopicName = var.topic_name }
        period      = 300
        stat        = "Sum"
      }
    }
  }

  # It is given up an hour after it was published, when perhaps nothing else is.
  metric_query {
    id          = "share"
    label       = "%"
    expression  = "100 * part / (part + FILL(whole, 0))"
    return_data = true
  }
}
