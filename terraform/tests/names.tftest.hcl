mock_provider "aws" {
  source = "./tests/mocks"
}

run "proves_a_name_in_dns" {
  module {
    source = "./modules/certificate"
  }

  variables {
    domain_name = "name.example.com"
    zone_id     = "Z0EXAMPLE"
  }

  assert {
    condition     = aws_acm_certificate.this.validation_method == "DNS"
    error_message = "The certificate should be proven in DNS."
  }

  assert {
    condition = (
      aws_route53_record.this.zone_id == "Z0EXAMPLE" &&
      aws_route53_record.this.name == "_proof.name.example.com." &&
      aws_route53_record.this.records == toset(["_answer.acm-validations.aws."])
    )
    error_message = "ACM's question should be answered in the zone."
  }

  assert {
    condition     = aws_route53_record.this.allow_overwrite != true
    error_message = "Another stack's record should not be taken over, or it goes with this one."
  }

  assert {
    condition     = output.arn == aws_acm_certificate_validation.this.certificate_arn
    error_message = "Nobody should use the certificate before it is issued."
  }
}

run "points_names_at_services" {
  module {
    source = "./modules/dns"
  }

  variables {
    hosted_zone_name = "example.com"

    aliases = {
      assets      = { name = "assets.example.com", target = "d1.cloudfront.net", target_zone_id = "Z2" }
      assets-ipv6 = { name = "assets.example.com", type = "AAAA", target = "d1.cloudfront.net", target_zone_id = "Z2" }
    }
  }

  assert {
    condition     = { for key, record in aws_route53_record.this : key => record.type } == { assets = "A", assets-ipv6 = "AAAA" }
    error_message = "Each alias should be a record of its type."
  }

  assert {
    condition = (
      aws_route53_record.this["assets"].zone_id == "Z0EXAMPLE" &&
      one(aws_route53_record.this["assets"].alias).name == "d1.cloudfront.net" &&
      one(aws_route53_record.this["assets"].alias).zone_id == "Z2"
    )
    error_message = "The name should stand for the service, in the zone looked up."
  }
}

run "refuses_other_types_of_records" {
  command = plan

  module {
    source = "./modules/dns"
  }

  variables {
    hosted_zone_name = "example.com"

    aliases = {
      assets = { name = "assets.example.com", type = "CNAME", target = "d1.cloudfront.net", target_zone_id = "Z2" }
    }
  }

  expect_failures = [var.aliases]
}
