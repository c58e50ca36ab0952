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

run "plans_with_the_least_settings" {
  command = plan

  assert {
    condition     = length(module.identity) == 1 && length(module.profiles) == 0 && length(module.dns) == 0
    error_message = "A new pool should be made, but neither profiles nor names of one's own."
  }

  assert {
    condition     = toset(keys(output.function_names)) == toset(["authorizer", "cleanup", "crop", "presign", "probe", "remove", "resize"])
    error_message = "Uploading, serving and removing need six functions, and a probe."
  }
}
