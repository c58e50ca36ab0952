# A module of its own, for CloudFront's metrics and so its alarms are in us-east-1 only.
resource "aws_cloudwatch_metric_alarm" "this" {
  alarm_name          = "${var.name}-cdn-errors"
  alarm_description   = "More than 1 % of the images that CloudFront was asked for ended in 5xx. See docs/runbook.md#cdn-errors."
  namespace           = "AWS/CloudFront"
  metric_name         = "5xxErrorRate"
  dimensions          = { DistributionId = var.distribution_id, Region = "Global" }
  statistic           = "Average"
  period              = 300
  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}
