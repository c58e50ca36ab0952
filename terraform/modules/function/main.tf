resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:Retention is a setting; the logs name user ids, which are not to be kept for a year by default
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:No tracing: the request's id is in each log line, and X-Ray would add a charge per request
  #checkov:skip=CKV_AWS_115:Concurrency is bounded where work comes in: API throttling, and the queue's maximum concurrency
  #checkov:skip=CKV_AWS_116:Synchronous and queue-driven calls report to their caller, the queue has a dead-letter queue, and make reconcile finds undelivered notifications
  #checkov:skip=CKV_AWS_173:The environment names buckets and a parameter; it holds no secret
  #checkov:skip=CKV_AWS_272:The zips are reproducible and their hashes stand in the state; no signing profile is assumed
  function_name = var.name
  description   = var.description
  role          = aws_iam_role.this.arn
  filename      = var.zip_path
  # Missing, it is for the precondition below to say so.
  source_code_hash = try(filebase64sha256(var.zip_path), null)
  handler          = var.handler
  # What local/zips.py builds the packages for.
  runtime       = "python3.13"
  architectures = ["arm64"]
  memory_size   = var.memory_size
  timeout       = var.timeout
  # Each change is a version of its own, which never changes again.
  publish = true

  reserved_concurrent_executions = var.maximum_concurrency

  dynamic "environment" {
    for_each = length(var.environment) > 0 ? [1] : []

    content {
      variables = var.environment
    }
  }

  dynamic "vpc_config" {
    for_each = length(var.subnet_ids) > 0 ? [1] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  lifecycle {
    precondition {
      condition     = fileexists(var.zip_path)
      error_message = "${var.zip_path} is missing. Build the functions first: make build."
    }
  }

  # The first call would otherwise create the log group by itself, without retention,
  # or find its role without rights.
  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.this]
}

# What everybody calls. Which version it is, `make apply`, `release`, `promote` and `back` say: a plan
# must not put back what an operator took away.
resource "aws_lambda_alias" "this" {
  name             = "live"
  description      = "What is called: see make releases."
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version

  lifecycle {
    ignore_changes = [description, function_version, routing_config]
  }
}
