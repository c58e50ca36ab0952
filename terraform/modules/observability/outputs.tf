output "dashboard_name" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "alarm_names" {
  description = "Names of the alarms in the region."
  value = sort(concat(
    [
      aws_cloudwatch_metric_alarm.dead_letters.alarm_name,
      aws_cloudwatch_metric_alarm.cleanup_dead_letters.alarm_name,
      aws_cloudwatch_metric_alarm.queue_age.alarm_name,
      aws_cloudwatch_metric_alarm.api_errors.alarm_name,
      aws_cloudwatch_metric_alarm.notifications.alarm_name,
      aws_cloudwatch_metric_alarm.images_not_served.alarm_name,
    ],
    [for alarm in aws_cloudwatch_metric_alarm.function : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.limits : alarm.alarm_name],
    aws_cloudwatch_metric_alarm.oldest_review[*].alarm_name,
    aws_cloudwatch_metric_alarm.verdict_function[*].alarm_name,
  ))
}
