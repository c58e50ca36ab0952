mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name               = "faces-test-reprocess"
  function_arn       = "arn:aws:lambda:eu-central-1:123456789012:function:faces-test-resize:live"
  uploads_bucket_arn = "arn:aws:s3:::uploads"
  reports_arn        = "arn:aws:s3:::assets/reprocess/*"
}

run "gives_a_job_what_it_needs" {
  module {
    source = "./modules/reprocess"
  }

  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Sid => [statement.Action, statement.Resource]
      } == {
      CallResize    = [["lambda:InvokeFunction"], ["arn:aws:lambda:eu-central-1:123456789012:function:faces-test-resize:live"]]
      ListOriginals = [["s3:PutInventoryConfiguration"], ["arn:aws:s3:::uploads"]]
      WriteReports  = [["s3:PutObject"], ["arn:aws:s3:::assets/reprocess/*"]]
    }
    error_message = "A job may list originals, call resize and write its report; it reads and deletes nothing."
  }

  assert {
    condition = (
      one(jsondecode(aws_iam_role.this.assume_role_policy).Statement).Principal.Service == "batchoperations.s3.amazonaws.com" &&
      one(jsondecode(aws_iam_role.this.assume_role_policy).Statement).Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    )
    error_message = "Only S3 Batch Operations, for this account, should take the role."
  }
}
