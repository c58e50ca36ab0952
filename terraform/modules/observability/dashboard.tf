locals {
  function_names = [for function in var.functions : function.name]

  # Two in a row, in this order.
  charts = [
    {
      title  = "Uploads waiting"
      region = var.region
      metrics = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.queue_name, { stat = "Maximum", label = "waiting" }],
        ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", var.queue_name, { stat = "Maximum", label = "being resized" }],
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.dead_letter_queue_name, { stat = "Maximum", label = "dead-letter queue" }],
      ]
    },
    {
      title  = "Longest wait of an upload, seconds"
      region = var.region
      metrics = [
        ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", var.queue_name, { stat = "Maximum" }],
      ]
    },
    {
      title   = "Calls"
      region  = var.region
      metrics = [for name in local.function_names : ["AWS/Lambda", "Invocations", "FunctionName", name, { stat = "Sum" }]]
    },
    {
      title   = "Duration, p99, ms"
      region  = var.region
      metrics = [for name in local.function_names : ["AWS/Lambda", "Duration", "FunctionName", name, { stat = "p99" }]]
    },
    {
      title  = "Failed and throttled calls"
      region = var.region
      metrics = concat(
        [for name in local.function_names : ["AWS/Lambda", "Errors", "FunctionName", name, { stat = "Sum", label = "${name} failed" }]],
        [for name in local.function_names : ["AWS/Lambda", "Throttles", "FunctionName", name, { stat = "Sum", label = "${name} throttled" }]],
      )
    },
    {
      title  = "API"
      region = var.region
      metrics = [
        for metric in ["Count", "4xx", "5xx"] : ["AWS/ApiGateway", metric, "ApiId", var.api_id, { stat = "Sum" }]
      ]
    },
    {
      title  = "Images served"
      region = "us-east-1"
      metrics = [
        ["AWS/CloudFront", "Requests", "DistributionId", var.distribution_id, "Region", "Global", { stat = "Sum" }],
      ]
    },
    {
      title  = "Images not served, %"
      region = "us-east-1"
      metrics = [
        for metric in ["4xxErrorRate", "5xxErrorRate"] :
        ["AWS/CloudFront", metric, "DistributionId", var.distribution_id, "Region", "Global", { stat = "Average" }]
      ]
    },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [
      for index, chart in local.charts : {
        type   = "metric"
        x      = 12 * (index % 2)
        y      = 6 * floor(index / 2)
        width  = 12
        height = 6
        properties = {
          title   = chart.title
          region  = chart.region
          view    = "timeSeries"
          period  = 300
          yAxis   = { left = { min = 0 } }
          metrics = chart.metrics
        }
      }
    ]
  })
}
