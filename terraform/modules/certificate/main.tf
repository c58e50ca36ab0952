locals {
  # One name, one proof.
  proof = one(aws_acm_certificate.this.domain_validation_options)
}

resource "aws_acm_certificate" "this" {
  domain_name       = var.domain_name
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

# A record that is there already is another stack's: taking it over would delete it with this one,
# and that stack's certificate would no longer renew.
resource "aws_route53_record" "this" {
  zone_id = var.zone_id
  name    = local.proof.resource_record_name
  type    = local.proof.resource_record_type
  records = [local.proof.resource_record_value]
  ttl     = 300
}

resource "aws_acm_certificate_validation" "this" {
  certificate_arn         = aws_acm_certificate.this.arn
  validation_record_fqdns = [aws_route53_record.this.fqdn]
}
