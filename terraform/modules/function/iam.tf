locals {
  log_statements = [
    {
      Sid      = "WriteLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
    }
  ]

  permission_statements = [
    for sid, permission in var.permissions : merge(
      {
        Sid      = sid
        Effect   = "Allow"
        Action   = permission.actions
        Resource = permission.resources
      },
      length(permission.string_equals) == 0 ? {} : {
        Condition = { StringEquals = permission.string_equals }
      },
    )
  ]

  network_actions = [
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
  ]

  network_statements = [for statement in [
    {
      Sid    = "AttachToNetwork"
      Effect = "Allow"
      Action = local.network_actions
      # Lambda makes these interfaces itself; the actions know no narrower resource.
      Resource = ["*"]
    },
    {
      # What Lambda itself does carries no such key: only what the function's code tries does.
      Sid       = "KeepNetworkFromCode"
      Effect    = "Deny"
      Action    = local.network_actions
      Resource  = ["*"]
      Condition = { ArnEquals = { "lambda:SourceFunctionArn" = local.function_arn } }
    },
  ] : statement if length(var.subnet_ids) > 0]

  # Composed, for the function needs its role first.
  function_arn = join(":", [
    "arn", data.aws_partition.this.partition, "lambda", data.aws_region.this.id,
    data.aws_caller_identity.this.account_id, "function", var.name,
  ])
}

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

resource "aws_iam_role" "this" {
  name        = var.name
  description = "What the function ${var.name} may do."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "RunAsFunction"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "lambda.amazonaws.com" }
      }
    ]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "function"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    # Through JSON, for statements with and without a condition differ in type.
    Statement = concat(
      jsondecode(jsonencode(local.log_statements)),
      jsondecode(jsonencode(local.permission_statements)),
      jsondecode(jsonencode(local.network_statements)),
    )
  })
}
