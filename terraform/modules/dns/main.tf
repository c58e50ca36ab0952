data "aws_route53_zone" "this" {
  name         = var.hosted_zone_id == null ? var.hosted_zone_name : null
  zone_id      = var.hosted_zone_id
  private_zone = var.hosted_zone_id == null ? false : null
}

resource "aws_route53_record" "this" {
  for_each = var.aliases

  zone_id = data.aws_route53_zone.this.zone_id
  name    = each.value.name
  type    = each.value.type

  alias {
    name                   = each.value.target
    zone_id                = each.value.target_zone_id
    evaluate_target_health = false
  }
}
