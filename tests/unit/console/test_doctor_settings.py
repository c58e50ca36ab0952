from __future__ import annotations

from console.operations.environments.doctor import settings
from console.operations.environments.doctor.finding import Finding


def compare(expected: dict[str, str | None], found: dict[str, str]) -> dict[str, Finding]:
    findings = settings.compare("Functions", "resize", expected, found, "Fix it.")
    return {item.name.removeprefix("resize "): item for item in findings}


def test_equal_values_are_well_and_need_no_remedy() -> None:
    found = compare({"AVATAR_VARIANTS": "512.jpg"}, {"AVATAR_VARIANTS": "512.jpg"})[
        "AVATAR_VARIANTS"
    ]
    assert (found.state, found.found, found.remedy) == ("ok", "512.jpg", "")


def test_missing_empty_and_different_are_told_apart() -> None:
    found = compare({"A_ONE": "1", "B_TWO": "2", "C_THREE": "3"}, {"B_TWO": "", "C_THREE": "4"})
    assert {name: item.found for name, item in found.items()} == {
        "A_ONE": "missing",
        "B_TWO": "empty",
        "C_THREE": "4",
    }
    assert {item.state for item in found.values()} == {"error"}
    assert {item.remedy for item in found.values()} == {"Fix it."}


def test_a_misspelt_name_is_named_beside_the_right_one_and_not_a_second_time() -> None:
    found = compare(
        {"ASSETS_BUCKET_NAME": "a", "UPLOADS_BUCKET_NAME": "u"},
        {"ASETS_BUCKET_NAME": "a", "UPLOADS_BUCKET_NAME": "u"},
    )
    assert found["ASSETS_BUCKET_NAME"].found == "missing; misspelt as ASETS_BUCKET_NAME?"
    assert set(found) == {"ASSETS_BUCKET_NAME", "UPLOADS_BUCKET_NAME"}


def test_a_known_name_is_never_taken_for_another_ones_misspelling() -> None:
    found = compare({"ASSETS_BUCKET": "a", "ASSETS_BUCKETS": "b"}, {"ASSETS_BUCKETS": "b"})
    assert found["ASSETS_BUCKET"].found == "missing"


def test_what_nothing_reads_is_a_warning_without_its_value() -> None:
    found = compare({"REGION": "x"}, {"REGION": "x", "LEFT_OVER": "old value"})["LEFT_OVER"]
    assert found.state == "warning"
    assert "old value" not in repr(found)


def test_any_value_will_do_where_none_is_known() -> None:
    found = compare({"A": None, "B": None}, {"A": "something", "B": ""})
    assert found["A"].state == "ok"
    assert found["B"].found == "empty"


def test_secrets_are_compared_and_never_shown() -> None:
    secrets = {
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        "DATABASE_URL": "postgresql://ops@db/avatars",
        "PGPASSWORD": "hunter22",
        "WEBHOOK": "https://ops:hunter22@example.com/",
    }
    right = compare(dict(secrets), secrets)
    wrong = compare(dict(secrets), {name: f"{value}2" for name, value in secrets.items()})
    assert {item.state for item in right.values()} == {"ok"}
    assert {item.state for item in wrong.values()} == {"error"}
    assert {item.found for item in wrong.values()} == {"another value"}
    for text in (repr(right), repr(wrong)):
        assert not any(value in text for value in ("wJalr", "postgresql", "hunter22"))


def test_the_name_of_a_secret_parameter_is_no_secret() -> None:
    assert settings.shown("DATABASE_URL_PARAMETER", "/ops/prod/db") == "/ops/prod/db"
