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

run "plans_profiles_in_the_databases_network" {
  command = plan

  assert {
    condition     = length(module.profiles) == 1 && output.function_names.profiles == "avatar-ops-prod-profiles"
    error_message = "With a database there should be a function for profiles."
  }

  assert {
    condition     = output.database_url_parameter == "/avatar-ops/prod/database-url"
    error_message = "The function should read the URL from the parameter."
  }
}
