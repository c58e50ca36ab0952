output "zone_id" {
  description = "Id of the hosted zone."
  value       = data.aws_route53_zone.this.zone_id
}

output "names" {
  description = "Names that the records answer for, by key."
  value       = { for key, record in aws_route53_record.this : key => record.fqdn }
}
