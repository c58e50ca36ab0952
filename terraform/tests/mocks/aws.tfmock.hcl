# What AWS would answer, where the provider or a module insists on a well-formed value.

mock_data "aws_caller_identity" {
  defaults = {
    account_id = "123456789012"
  }
}

mock_data "aws_partition" {
  defaults = {
    partition = "aws"
  }
}

mock_data "aws_region" {
  defaults = {
    id = "eu-central-1"
  }
}

mock_data "aws_route53_zone" {
  defaults = {
    zone_id = "Z0EXAMPLE"
  }
}

mock_resource "aws_acm_certificate" {
  defaults = {
    arn = "arn:aws:acm:us-east-1:123456789012:certificate/one"
    domain_validation_options = [
      {
        domain_name           = "name.example.com"
        resource_record_name  = "_proof.name.example.com."
        resource_record_type  = "CNAME"
        resource_record_value = "_answer.acm-validations.aws."
      }
    ]
  }
}

mock_resource "aws_apigatewayv2_api" {
  defaults = {
    id            = "api123"
    api_endpoint  = "https://api123.execute-api.eu-central-1.amazonaws.com"
    execution_arn = "arn:aws:execute-api:eu-central-1:123456789012:api123"
  }
}

mock_resource "aws_apigatewayv2_authorizer" {
  defaults = {
    id = "authorizer1"
  }
}

mock_resource "aws_cloudfront_distribution" {
  defaults = {
    id             = "E1EXAMPLE"
    arn            = "arn:aws:cloudfront::123456789012:distribution/E1EXAMPLE"
    domain_name    = "d111111abcdef8.cloudfront.net"
    hosted_zone_id = "Z2FDTNDATAQYW2"
  }
}

mock_resource "aws_cloudwatch_event_rule" {
  defaults = {
    arn = "arn:aws:events:eu-central-1:123456789012:rule/one"
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:eu-central-1:123456789012:log-group:one"
  }
}

mock_resource "aws_cognito_user_pool" {
  defaults = {
    id = "eu-central-1_MadeHere1"
  }
}

mock_resource "aws_cognito_user_pool_client" {
  defaults = {
    id = "clientmadehere"
  }
}

mock_resource "aws_dynamodb_table" {
  defaults = {
    arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/limits"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    arn = "arn:aws:iam::123456789012:role/one"
  }
}

mock_resource "aws_lambda_alias" {
  defaults = {
    arn        = "arn:aws:lambda:eu-central-1:123456789012:function:one:live"
    invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:123456789012:function:one:live/invocations"
  }
}

mock_resource "aws_lambda_function" {
  defaults = {
    arn        = "arn:aws:lambda:eu-central-1:123456789012:function:one"
    invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:123456789012:function:one/invocations"
  }
}

mock_resource "aws_s3_bucket" {
  defaults = {
    id                          = "bucket"
    arn                         = "arn:aws:s3:::bucket"
    bucket_regional_domain_name = "bucket.s3.eu-central-1.amazonaws.com"
  }
}

mock_resource "aws_sns_topic" {
  defaults = {
    arn = "arn:aws:sns:eu-central-1:123456789012:topic"
  }
}

mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws:sqs:eu-central-1:123456789012:queue"
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/queue"
  }
}
