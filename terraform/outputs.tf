locals {
  api_url = (
    var.service_urls != null ? format(var.service_urls.api, module.api.id) :
    var.domain_name != null ? "https://${local.api_domain_name}" :
    module.api.endpoint
  )

  assets_url = (
    var.service_urls != null ? format(var.service_urls.assets, split(".", module.cdn.distribution_domain_name)[0]) :
    var.domain_name != null ? "https://${local.assets_domain_name}" :
    "https://${module.cdn.distribution_domain_name}"
  )
}

output "api_url" {
  description = "Address of the API, without a slash at the end."
  value       = local.api_url
}

output "assets_url" {
  description = "Address of the images, without a slash at the end."
  value       = local.assets_url
}

output "uploads_bucket" {
  description = "Name of the bucket of originals."
  value       = module.uploads.name
}

output "assets_bucket" {
  description = "Name of the bucket of avatars, variants, banners and rejections."
  value       = module.assets.name
}

output "distribution_id" {
  description = "Id of the CloudFront distribution, for invalidations."
  value       = module.cdn.distribution_id
}

output "user_pool_id" {
  description = "Id of the Cognito user pool."
  value       = local.user_pool.id
}

output "user_pool_region" {
  description = "Region of the Cognito user pool."
  value       = split("_", local.user_pool.id)[0]
}

output "user_pool_client_id" {
  description = "Id of the user pool's client for front ends."
  value       = local.user_pool.client_id
}

output "queue_url" {
  description = "URL of the queue of new uploads."
  value       = module.image_pipeline.queue_url
}

output "dead_letter_queue_url" {
  description = "URL of the queue of uploads that failed each time they were received."
  value       = module.image_pipeline.dead_letter_queue_url
}

output "topic_arn" {
  description = "ARN of the topic of new and removed avatars."
  value       = module.image_pipeline.topic_arn
}

output "limits_table" {
  description = "Name of the table of limits and locks."
  value       = module.limits.name
}

output "reviews_table" {
  description = "Name of the table of pictures that were held or reported; null where moderation is off."
  value       = one(module.reviews[*].name)
}

output "legal_holds_bucket" {
  description = "Name of the bucket of what must be kept by law."
  value       = module.legal_holds.name
}

output "reprocess_role_arn" {
  description = "ARN of the role with which S3 Batch Operations calls `resize`; null where the queue serves."
  value       = one(module.reprocess[*].role_arn)
}

output "function_names" {
  description = "Names of the functions by their short name; `profiles` only with a database."
  value       = { for key, function in local.functions : key => function.name }
}

output "api_id" {
  description = "Id of the API, as its metrics name it."
  value       = module.api.id
}

output "api_log_group_name" {
  description = "Log group of the API's access logs."
  value       = module.api.log_group_name
}

output "dashboard_name" {
  description = "Name of the CloudWatch dashboard."
  value       = module.observability.dashboard_name
}

output "name" {
  description = "Prefix of every name: <project>-<environment>."
  value       = local.name
}

output "environment" {
  description = "Name of the environment."
  value       = var.environment
}

output "account_id" {
  description = "Id of the AWS account of everything."
  value       = data.aws_caller_identity.this.account_id
}

output "region" {
  description = "AWS region of everything but CloudFront."
  value       = var.region
}

output "domain_name" {
  description = "Domain under which `api.` and `assets.` are served; null without one."
  value       = var.domain_name
}

output "front_end_origins" {
  description = "Web origins that may call the API, upload, and read images."
  value       = local.origins
}

output "avatar_variants" {
  description = "Names of the variants of each avatar, such as 512.jpg, largest first."
  value       = local.avatar_variants
}

output "banner_variants" {
  description = "Names of the variants of each banner, such as 1500x500.jpg, largest first."
  value       = local.banner_variants
}

output "max_upload_bytes" {
  description = "Largest upload in bytes."
  value       = var.max_upload_bytes
}

output "database_url_parameter" {
  description = "SSM parameter that holds the database's URL; null without a database."
  value       = try(var.database.url_parameter_name, null)
}
