from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.operations.uploads import names
from resize.events import EventError, Upload, is_later, uploads_in


def record(key: str, event: str = "ObjectCreated:Put", **more: str) -> dict[str, Any]:
    return {
        "eventSource": "aws:s3",
        "eventName": event,
        "s3": {"bucket": {"name": "uploads"}, "object": {"key": key, **more}},
    }


def test_keys_are_decoded_and_order_is_kept() -> None:
    event = {"Records": [record("a+b%2B%C3%A9.jpg", versionId="v1", sequencer="0A"), record("c")]}
    assert uploads_in(event) == [
        Upload("uploads", "a b+é.jpg", "v1", "0A"),
        Upload("uploads", "c"),
    ]


def test_test_events_and_deletions_announce_nothing() -> None:
    assert uploads_in({"Service": "Amazon S3", "Event": "s3:TestEvent"}) == []
    assert uploads_in({"Records": [record("a", "ObjectRemoved:Delete")]}) == []


@pytest.mark.parametrize("body", ['"text"', "[]", "{}", '{"Records": [{}]}', '{"Records": [7]}'])
def test_anything_else_is_an_error(body: str) -> None:
    with pytest.raises(EventError):
        uploads_in(json.loads(body))


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("data.jpg", "data"),
        ("data.tar.gz", "data.tar"),
        ("people/ada.png", "people/ada"),
        ("people/ada", "people/ada"),
        ("a.b/c", "a.b/c"),
        ("people/.hidden", "people/.hidden"),
        ("8c3f-sub", "8c3f-sub"),
        (".hidden", ".hidden"),
        ("folder/", ""),
    ],
)
def test_a_name_is_the_key_without_its_last_extension(key: str, name: str) -> None:
    assert Upload("uploads", key).name == name


@given(st.text(st.sampled_from("a._/")))
def test_the_console_names_avatars_as_the_function_does(key: str) -> None:
    upload = Upload("uploads", key)
    assert names.name_of(key) == upload.name
    assert names.is_reserved(upload.name) == upload.is_reserved


def test_sequencers_compare_padded_on_the_right() -> None:
    assert is_later("0055AED6DCD90281E6", "0055AED6DCD90281E5")
    assert is_later("0055AED6DCD90281E51", "0055AED6DCD90281E5")
    assert not is_later("0055AED6DCD90281E50", "0055AED6DCD90281E5")
    assert not is_later("0055aed6dcd90281e5", "0055AED6DCD90281E5")
