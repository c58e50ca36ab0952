mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name               = "faces-test-presign"
  description        = "Tries things out."
  zip_path           = "tests/artifacts/presign.zip"
  handler            = "presign.handler.handler"
  runtime            = "python3.13"
  architecture       = "arm64"
  log_retention_days = 7
}

run "may_write_its_logs_and_nothing_else" {
  module {
    source = "./modules/function"
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.this.policy).Statement == [
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["arn:aws:logs:eu-central-1:123456789012:log-group:one:*"]
      }
    ]
    error_message = "A function without permissions should write its logs only."
  }

  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [
      {
        Sid       = "RunAsFunction"
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "lambda.amazonaws.com" }
      }
    ]
    error_message = "Lambda, and nobody else, may act as the role."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/lambda/faces-test-presign" && aws_cloudwatch_log_group.this.retention_in_days == 7
    error_message = "The function's log group should be the managed one, with its retention."
  }

  assert {
    condition = (
      aws_lambda_function.this.publish && aws_lambda_alias.this.name == "live" &&
      output.arn == aws_lambda_alias.this.arn && output.invoke_arn == aws_lambda_alias.this.invoke_arn
    )
    error_message = "Each change should be a version, and callers should be given the alias."
  }

  assert {
    condition     = length(aws_lambda_function.this.vpc_config) == 0 && length(aws_lambda_function.this.environment) == 0
    error_message = "Network and environment should be absent unless given."
  }
}

run "gets_the_permissions_given" {
  module {
    source = "./modules/function"
  }

  variables {
    permissions = {
      Decrypt = {
        actions       = ["kms:Decrypt"]
        resources     = ["arn:aws:kms:eu-central-1:123456789012:key/one"]
        string_equals = { "kms:ViaService" = "ssm.eu-central-1.amazonaws.com" }
      }
      Upload = {
        actions   = ["s3:PutObject"]
        resources = ["arn:aws:s3:::bucket/*"]
      }
    }
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[*].Sid == ["WriteLogs", "Decrypt", "Upload"]
    error_message = "Each permission should be a statement with its key as id."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[1].Condition == { StringEquals = { "kms:ViaService" = "ssm.eu-central-1.amazonaws.com" } }
    error_message = "The condition is lost."
  }

  assert {
    condition     = !can(jsondecode(aws_iam_role_policy.this.policy).Statement[2].Condition)
    error_message = "A permission without a condition should have none."
  }
}

run "runs_in_a_network" {
  module {
    source = "./modules/function"
  }

  variables {
    subnet_ids          = ["subnet-1"]
    security_group_ids  = ["sg-1"]
    maximum_concurrency = 20
    environment         = { NAME = "value" }
  }

  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == 20
    error_message = "A database should have no more connections at once than calls were allowed."
  }

  assert {
    condition     = aws_lambda_function.this.vpc_config[0].subnet_ids == toset(["subnet-1"])
    error_message = "The function should run in the subnets given."
  }

  assert {
    condition = slice(jsondecode(aws_iam_role_policy.this.policy).Statement, 1, 3) == [
      {
        Sid    = "AttachToNetwork"
        Effect = "Allow"
        # What AWS's own policy for such functions, AWSLambdaVPCAccessExecutionRole, has besides logs.
        Action = [
          "ec2:CreateNetworkInterface",
          "ec2:DeleteNetworkInterface",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
          "ec2:AssignPrivateIpAddresses",
          "ec2:UnassignPrivateIpAddresses",
        ]
        Resource = ["*"]
      },
      {
        Sid    = "KeepNetworkFromCode"
        Effect = "Deny"
        Action = [
          "ec2:CreateNetworkInterface",
          "ec2:DeleteNetworkInterface",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
          "ec2:AssignPrivateIpAddresses",
          "ec2:UnassignPrivateIpAddresses",
        ]
        Resource  = ["*"]
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-central-1:123456789012:function:faces-test-presign" } }
      },
    ]
    error_message = "In a network a function needs Lambda to make its interfaces, and its code none of that."
  }

  assert {
    condition     = aws_lambda_function.this.environment[0].variables == tomap({ NAME = "value" })
    error_message = "The environment should be the one given."
  }
}

run "says_how_to_get_a_missing_zip" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    zip_path = "tests/artifacts/nowhere.zip"
  }

  expect_failures = [aws_lambda_function.this]
}

run "refuses_a_statement_id_with_a_hyphen" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    permissions = {
      read-things = { actions = ["s3:GetObject"], resources = ["arn:aws:s3:::bucket/*"] }
    }
  }

  expect_failures = [var.permissions]
}
