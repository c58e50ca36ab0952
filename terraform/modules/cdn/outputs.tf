output "distribution_id" {
  description = "Id of the distribution."
  value       = aws_cloudfront_distribution.this.id
}

output "distribution_arn" {
  description = "ARN of the distribution."
  value       = aws_cloudfront_distribution.this.arn
}

output "distribution_domain_name" {
  description = "CloudFront's own name for the distribution."
  value       = aws_cloudfront_distribution.this.domain_name
}

output "distribution_zone_id" {
  description = "Hosted zone of CloudFront's names, for an alias."
  value       = aws_cloudfront_distribution.this.hosted_zone_id
}

output "probed_keys" {
  description = "Keys of objects that the distribution must serve, none of which it keeps for longer than 5 s."
  value       = concat([aws_s3_object.default_avatar.key], [for object in aws_s3_object.probed : object.key])
}
