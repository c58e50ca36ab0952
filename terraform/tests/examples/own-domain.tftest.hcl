# Run from the root module, with settings.tfvars: tests/terraform/test_examples.py

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/mocks"
}

variables {
  artifacts_directory = "tests/artifacts"

  # A shell that was set up for an emulator has these in its environment.
  service_urls = null
  jwks_url     = null
}

run "plans_names_and_certificates" {
  command = plan

  assert {
    condition     = output.api_url == "https://api.avatars.example.com" && output.assets_url == "https://assets.avatars.example.com"
    error_message = "API and images should be served under the domain."
  }

  assert {
    condition     = length(module.api_certificate) == 1 && length(module.assets_certificate) == 1
    error_message = "Each name needs a certificate: the API's in its region, CloudFront's in us-east-1."
  }
}
