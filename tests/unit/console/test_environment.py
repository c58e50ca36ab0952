"""What `.env.<ENV>` holds."""

from __future__ import annotations

from console.operations.environments import deployment, settings_files

OUTPUTS = {"region": "eu-central-1", "function_names": {"resize": "avatar-ops-local-resize"}}


def test_settings_of_an_emulator_name_its_region_for_boto3_each_time_they_are_written() -> None:
    access = dict.fromkeys(deployment.ACCESS, "x")  # what is read of the file that was there
    settings = settings_files.console_settings(OUTPUTS, access)
    assert settings["AWS_REGION"] == "eu-central-1"
    assert access.items() <= settings.items()


def test_settings_of_aws_leave_region_and_credentials_to_the_operators_own() -> None:
    assert not any(name.startswith("AWS_") for name in settings_files.console_settings(OUTPUTS, {}))


def test_a_dollar_sign_of_an_address_is_not_a_variable_to_the_front_ends_tools() -> None:
    url = "http://localhost:4566/_aws/execute-api/1/$default"
    settings = settings_files.front_end_settings({"api_url": url})
    assert settings["VITE_API_URL"] == r"http://localhost:4566/_aws/execute-api/1/\$default"
    assert settings["REACT_APP_BACKEND_URL"] == settings["VITE_API_URL"]
