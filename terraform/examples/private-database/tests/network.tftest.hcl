mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }
}

variables {
  vpc_id                     = "vpc-0123456789abcdef0"
  subnet_ids                 = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]
  route_table_ids            = ["rtb-0123456789abcdef0"]
  database_security_group_id = "sg-0fedcba9876543210"
}

run "opens_the_database_ssm_and_s3_and_nothing_else" {
  command = plan

  assert {
    condition = alltrue([
      for rule in [
        aws_vpc_security_group_egress_rule.database,
        aws_vpc_security_group_egress_rule.endpoint,
        aws_vpc_security_group_egress_rule.s3,
      ] : rule.cidr_ipv4 == null && rule.cidr_ipv6 == null && rule.from_port == rule.to_port
    ])
    error_message = "The function should reach named places only, each by one port."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.database.security_group_id == var.database_security_group_id && aws_vpc_security_group_ingress_rule.database.from_port == 5432
    error_message = "The database should be opened to the function, on its port."
  }

  assert {
    condition     = aws_vpc_endpoint.ssm.service_name == "com.amazonaws.eu-central-1.ssm" && aws_vpc_endpoint.ssm.private_dns_enabled
    error_message = "The function asks SSM by its public name."
  }
}

run "refuses_one_subnet" {
  command = plan

  variables {
    subnet_ids = ["subnet-0123456789abcdef0"]
  }

  expect_failures = [var.subnet_ids]
}
