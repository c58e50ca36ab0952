# The way of a function inside the network: to the database, and to SSM and S3 without the internet.

data "aws_region" "this" {}

resource "aws_security_group" "function" {
  #checkov:skip=CKV2_AWS_5:The profiles function takes it, by the setting `database`
  name        = "${var.name}-profiles"
  description = "Function that reads and changes profiles."
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "database" {
  description                  = "To Postgres"
  security_group_id            = aws_security_group.function.id
  referenced_security_group_id = var.database_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.database_port
  to_port                      = var.database_port
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  description                  = "From the profiles function"
  security_group_id            = var.database_security_group_id
  referenced_security_group_id = aws_security_group.function.id
  ip_protocol                  = "tcp"
  from_port                    = var.database_port
  to_port                      = var.database_port
}

# SSM, for the parameter with the URL.
resource "aws_security_group" "endpoint" {
  name        = "${var.name}-ssm-endpoint"
  description = "Interface endpoint of SSM."
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "endpoint" {
  description                  = "From the profiles function"
  security_group_id            = aws_security_group.endpoint.id
  referenced_security_group_id = aws_security_group.function.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "endpoint" {
  description                  = "To the endpoint of SSM"
  security_group_id            = aws_security_group.function.id
  referenced_security_group_id = aws_security_group.endpoint.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_endpoint" "ssm" {
  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${data.aws_region.this.name}.ssm"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoint.id]
}

# S3, for the version of the avatar that is shown.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${data.aws_region.this.name}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  description       = "To S3, by its gateway endpoint"
  security_group_id = aws_security_group.function.id
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
