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

run "plans_with_the_applications_pool" {
  command = plan

  assert {
    condition     = length(module.identity) == 0 && output.user_pool_id == "eu-central-1_AbCdEfGhI" && output.user_pool_client_id == "1h57kf5cpq17m0eml12EXAMPLE"
    error_message = "No pool should be made where the application has one."
  }
}
