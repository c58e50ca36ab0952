"""The adapter, against the shape that botocore's model of Rekognition has."""

from __future__ import annotations

import base64
import importlib
import io
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.stub import Stubber
from PIL import Image

from resize.image import render_avatar

CONTEXT: Any = SimpleNamespace(aws_request_id="request-1")


@pytest.fixture
def rekognition(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    return importlib.reload(importlib.import_module("rekognition.handler"))


@pytest.fixture
def stub(rekognition: ModuleType) -> Iterator[Stubber]:
    with Stubber(rekognition._rekognition) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def largest() -> bytes:
    """Return about the largest file that resize makes of a picture: noise, in 512 by 512."""
    noise = Image.effect_noise((1024, 1024), 255).convert("RGB")
    stream = io.BytesIO()
    noise.save(stream, "PNG")
    return render_avatar(stream.getvalue())


def label(name: str, parent: str, confidence: float, level: int) -> dict[str, Any]:
    return {
        "Name": name,
        "ParentName": parent,
        "Confidence": confidence,
        "TaxonomyLevel": level,
    }


def event(picture: bytes) -> dict[str, Any]:
    return {"key": "ada", "version_id": "1", "picture": base64.b64encode(picture).decode()}


def test_what_resize_sends_is_within_the_limits_of_the_api() -> None:
    picture = largest()
    found = Image.open(io.BytesIO(picture))
    assert found.format == "JPEG"
    assert min(found.size) >= 50
    assert len(picture) <= 5 * 2**20
    assert len(base64.b64encode(picture)) < 6 * 2**20, "what Lambda takes in one call"


@pytest.mark.parametrize(
    ("labels", "answer"),
    [
        ([], {"hold": False, "score": 0.0}),
        (
            [
                label("Explicit", "", 91.5, 1),
                label("Explicit Nudity", "Explicit", 91.5, 2),
            ],
            {"hold": True, "score": 0.915},
        ),
        ([label("Swimwear or Underwear", "", 99.0, 1)], {"hold": False, "score": 0.0}),
        (
            [label("Violence", "", 61.0, 1), label("Hate Symbols", "", 80.0, 1)],
            {"hold": True, "score": 0.8},
        ),
    ],
)
def test_the_labels_that_are_wanted_hold(
    rekognition: ModuleType, stub: Stubber, labels: list[dict[str, Any]], answer: dict[str, Any]
) -> None:
    picture = largest()
    stub.add_response(
        "detect_moderation_labels",
        {"ModerationLabels": labels, "ModerationModelVersion": "7.0", "ContentTypes": []},
        {"Image": {"Bytes": picture}, "MinConfidence": 60},
    )
    assert rekognition.handler(event(picture), CONTEXT) == pytest.approx(answer)


def test_the_labels_and_the_confidence_are_settings(
    rekognition: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLD_LABELS", "Drugs & Tobacco,Alcohol")
    monkeypatch.setenv("HOLD_CONFIDENCE", "85")
    module = importlib.reload(rekognition)
    with Stubber(module._rekognition) as stub:
        stub.add_response(
            "detect_moderation_labels",
            {"ModerationLabels": [label("Drugs & Tobacco", "", 90.0, 1)]},
            {"Image": {"Bytes": b"picture"}, "MinConfidence": 85},
        )
        assert module.handler(event(b"picture"), CONTEXT)["hold"]


@pytest.mark.parametrize("said", [{}, {"picture": ""}, {"picture": "%"}])
def test_without_a_picture_it_fails_and_resize_decides(
    rekognition: ModuleType, said: dict[str, Any]
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        rekognition.handler(said, CONTEXT)


def test_an_error_of_the_api_is_no_classification(rekognition: ModuleType, stub: Stubber) -> None:
    stub.add_client_error("detect_moderation_labels", "ImageTooLargeException")
    with pytest.raises(rekognition._rekognition.exceptions.ImageTooLargeException):
        rekognition.handler(event(b"picture"), CONTEXT)
