# The public zone, if the domain has none in Route 53 yet.
resource "aws_route53_zone" "this" {
  #checkov:skip=CKV2_AWS_38:DNSSEC needs the registrar's part, which is the domain owner's decision
  #checkov:skip=CKV2_AWS_39:Query logs name who looks at what; they are the domain owner's decision
  name = var.hosted_zone_name
}
