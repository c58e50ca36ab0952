output "alarm_name" {
  description = "Name of the alarm, in us-east-1."
  value       = aws_cloudwatch_metric_alarm.this.alarm_name
}
