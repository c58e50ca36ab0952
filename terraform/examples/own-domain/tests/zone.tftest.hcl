mock_provider "aws" {}

run "makes_the_zone" {
  command = plan

  assert {
    condition     = aws_route53_zone.this.name == "example.com"
    error_message = "The zone should be the settings' zone."
  }
}
