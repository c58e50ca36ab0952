provider "aws" {
  region              = var.region
  allowed_account_ids = var.account_id == null ? null : [var.account_id]
  s3_use_path_style   = var.s3_use_path_style

  default_tags {
    tags = local.tags
  }
}

# CloudFront takes its certificate, and gives its metrics, in us-east-1 only.
provider "aws" {
  alias               = "us_east_1"
  region              = "us-east-1"
  allowed_account_ids = var.account_id == null ? null : [var.account_id]

  default_tags {
    tags = local.tags
  }
}
