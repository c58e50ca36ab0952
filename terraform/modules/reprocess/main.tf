# The role with which S3 Batch Operations calls `resize` for each original.

data "aws_caller_identity" "this" {}

resource "aws_iam_role" "this" {
  name = var.name

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "batchoperations.s3.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "reprocess"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "CallResize"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [var.function_arn]
      },
      {
        # S3 lists what is there by an inventory of its own; it reads no original.
        Sid      = "ListOriginals"
        Effect   = "Allow"
        Action   = ["s3:PutInventoryConfiguration"]
        Resource = [var.uploads_bucket_arn]
      },
      {
        Sid      = "WriteReports"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = [var.reports_arn]
      },
    ]
  })
}
