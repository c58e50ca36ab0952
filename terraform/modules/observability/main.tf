locals {
  function_alarms = merge(
    {
      for key, function in var.functions : "${key}-errors" => {
        function    = function.name
        description = "A call of ${function.name} failed. See docs/runbook.md#function-errors."
        metric_name = "Errors"
        statistic   = "Sum"
        percentile  = null
        threshold   = 0
        periods     = 1
      }
    },
    {
      for key, function in var.functions : "${key}-throttles" => {
        function    = function.name
        description = "Calls of ${function.name} were refused: the account's concurrent executions are used up. See docs/runbook.md#function-throttles."
        metric_name = "Throttles"
        statistic   = "Sum"
        percentile  = null
        threshold   = 0
        periods     = 1
      }
    },
    {
      for key, function in var.functions : "${key}-duration" => {
        function    = function.name
        description = "One call in a hundred of ${function.name} takes longer than ${function.slow_ms} ms. See docs/runbook.md#function-duration."
        metric_name = "Duration"
        statistic   = null
        percentile  = "p99"
        threshold   = function.slow_ms
        periods     = 3
      }
    },
  )
}

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
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric_name
  dimensions          = { FunctionName = each.value.function }
  statistic           = each.value.statistic
  extended_statistic  = each.value.percentile
  period              = 300
  evaluation_periods  = each.value.periods
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
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
  alarm_description   = "${each.value} could not ask how many pictures a user has sent, and let them pass. See docs/runbook.md#function-limits."
  namespace           = var.name
  metric_name         = "LimitsNotAsked"
  dimensions          = { FunctionName = each.value }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "api_errors" {
  alarm_name          = "${var.name}-api-errors"
  alarm_description   = "The API answered with 5xx. See docs/runbook.md#api-errors."
  namespace           = "AWS/ApiGateway"
  metric_name         = "5xx"
  dimensions          = { ApiId = var.api_id }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}

# A function that fails has an alarm of its own; this is for a webhook that has not answered for an
# hour. NumberOfNotificationsFailed would count each try.
resource "aws_cloudwatch_metric_alarm" "notifications" {
  alarm_name          = "${var.name}-notifications"
  alarm_description   = "The webhook did not take a notification within an hour; it is in the webhook's dead-letter queue. See docs/runbook.md#notifications."
  namespace           = "AWS/SNS"
  metric_name         = "NumberOfNotificationsRedrivenToDlq"
  dimensions          = { TopicName = var.topic_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}
