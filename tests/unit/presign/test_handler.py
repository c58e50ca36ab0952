"""What the browser sends, and what it gets."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.operations.uploads import send
from presign.upload_request import CONTENT_TYPES, RequestError, read
from resize.header import MAX_PIXELS
from resize.rejection import REJECTIONS
from tests.unit.presign.conftest import ENVIRONMENT, SUB, Ask

MAX = 25 * 2**20


def body(extension: Any = "jpg", size: Any = 12345, **more: Any) -> str:
    return json.dumps({"extension": extension, "size": size, **more})


def test_gives_a_url_for_the_callers_own_key_type_and_length(ask: Ask) -> None:
    status, answer = ask(body())
    assert status == 200
    address = urlsplit(answer.pop("url"))
    assert answer == {
        "method": "PUT",
        "headers": {"Content-Type": "image/jpeg"},
        "key": SUB,
        "expires_in": 300,
        "variants": ["512.jpg", "128.webp"],
        "version_suffix": "",
    }
    assert address.netloc == "avatar-uploads.s3.eu-west-1.amazonaws.com"
    assert address.path == f"/{SUB}"
    query = parse_qs(address.query)
    assert query["X-Amz-SignedHeaders"] == ["content-length;content-type;host"]
    assert query["X-Amz-Expires"] == ["300"]
    assert query["X-Amz-Security-Token"] == [ENVIRONMENT["AWS_SESSION_TOKEN"]]


@pytest.mark.parametrize(
    ("crop", "header"),
    [
        ([0, 0, 1], "0,0,1"),
        ([0.125, 0.25, 0.5], "0.125,0.25,0.5"),
        ([1 / 3, 1e-7, 1.0], "0.333333,0,1"),
        ([1, 1, 0.000001], "1,1,0.000001"),
    ],
)
def test_a_crop_is_signed_into_the_url(crop: list[float], header: str, ask: Ask) -> None:
    status, answer = ask(body(crop=crop))
    assert status == 200
    assert answer["headers"] == {"Content-Type": "image/jpeg", "x-amz-meta-crop": header}
    signed = parse_qs(urlsplit(answer["url"]).query)["X-Amz-SignedHeaders"]
    assert signed == ["content-length;content-type;host;x-amz-meta-crop"]
    assert answer["version_suffix"].startswith("-")
    assert len(answer["version_suffix"]) == 16


def test_a_crop_of_null_is_none(ask: Ask) -> None:
    _, answer = ask(body(crop=None))
    assert answer["headers"] == {"Content-Type": "image/jpeg"}


@pytest.mark.parametrize(
    "crop",
    [
        [],
        [0, 0],
        [0, 0, 1, 1],
        [0, 0, 0],
        [0, 0, 1e-9],
        [-0.1, 0, 1],
        [0, 1.01, 1],
        [0, 0, 10**400],
        [0, 0, True],
        ["0", "0", "1"],
        [None, 0, 1],
        "0,0,1",
        {"x": 0, "y": 0, "side": 1},
        1,
    ],
)
def test_what_is_no_crop_is_refused_and_says_what_one_is(crop: Any, ask: Ask) -> None:
    status, answer = ask(body(crop=crop))
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert answer["error"]["message"].startswith("crop")


@pytest.mark.parametrize(
    ("extension", "content_type"),
    [
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("png", "image/png"),
        ("webp", "image/webp"),
        ("gif", "image/gif"),
        ("avif", "image/avif"),
        ("JPG", "image/jpeg"),
        (".jpg", "image/jpeg"),
        (".WebP", "image/webp"),
        ("jfif", "image/jpeg"),
        ("JFIF", "image/jpeg"),
        ("jpe", "image/jpeg"),
        ("jfi", "image/jpeg"),
        ("jif", "image/jpeg"),
        ("pjpeg", "image/jpeg"),
        ("pjp", "image/jpeg"),
        ("mpo", "image/jpeg"),
        ("apng", "image/png"),
        ("avifs", "image/avif"),
        ("image/jpeg", "image/jpeg"),
    ],
)
def test_knows_the_pipelines_formats_as_browsers_name_them(
    extension: str, content_type: str, ask: Ask
) -> None:
    status, answer = ask(body(extension))
    assert (status, answer["headers"]["Content-Type"]) == (200, content_type)


@pytest.mark.parametrize(
    "extension",
    [
        "",
        ".",
        "exe",
        "blob",
        "image:1000034",
        "jpg.exe",
        "..jpg",
        " jpg",
        "jpg\n",
        "jpg\0",
        "\uff4a\uff50\uff47",
    ],
)
def test_names_the_formats_when_asked_for_another(extension: str, ask: Ask) -> None:
    status, answer = ask(body(extension))
    assert (status, answer["error"]["code"]) == (400, "unsupported_extension")
    assert "one of jpg, jpeg, jpe, jfif," in answer["error"]["message"]
    assert '"type": "image/jpeg"' in answer["error"]["message"]


@pytest.mark.parametrize(
    ("media_type", "content_type"),
    [
        ("image/jpeg", "image/jpeg"),
        ("IMAGE/JPEG", "image/jpeg"),
        ("image/jpg", "image/jpeg"),
        ("image/pjpeg", "image/jpeg"),
        (' image/jpeg ; charset="utf-8"', "image/jpeg"),
        ("image/png", "image/png"),
        ("image/x-png", "image/png"),
        ("image/apng", "image/png"),
        ("image/webp", "image/webp"),
        ("image/gif", "image/gif"),
        ("image/avif", "image/avif"),
    ],
)
def test_a_blob_without_a_name_is_asked_for_by_its_media_type(
    media_type: str, content_type: str, ask: Ask
) -> None:
    status, answer = ask(json.dumps({"type": media_type, "size": 12345}))
    assert (status, answer["headers"]) == (200, {"Content-Type": content_type})


@pytest.mark.parametrize(
    ("extension", "media_type", "content_type"),
    [
        ("blob", "image/webp", "image/webp"),
        ("image:1000034", "image/jpeg", "image/jpeg"),
        (None, "image/png", "image/png"),
        ("", "image/png", "image/png"),
        ("jpg", "", "image/jpeg"),
        ("jpg", None, "image/jpeg"),
        ("jpg", "application/octet-stream", "image/jpeg"),
        ("jpg", "image/png", "image/png"),
    ],
)
def test_of_name_and_type_one_that_is_known_is_enough(
    extension: Any, media_type: Any, content_type: str, ask: Ask
) -> None:
    status, answer = ask(body(extension, type=media_type))
    assert (status, answer["headers"]) == (200, {"Content-Type": content_type})


@pytest.mark.parametrize("media_type", ["image/x-none", "text/html", "jpeg", "image/", "/"])
def test_names_the_types_when_asked_for_another(media_type: str, ask: Ask) -> None:
    status, answer = ask(json.dumps({"type": media_type, "size": 12345}))
    assert (status, answer["error"]["code"]) == (400, "unsupported_type")
    expected = "image/avif, image/gif, image/jpeg, image/png, image/webp"
    assert expected in answer["error"]["message"]


@pytest.mark.parametrize("media_type", [1, True, ["image/jpeg"], {}])
def test_a_type_that_is_no_text_is_refused(media_type: Any, ask: Ask) -> None:
    for request in ({"size": 1}, {"size": 1, "extension": "jpg"}):
        status, answer = ask(json.dumps({"type": media_type, **request}))
        assert (status, answer["error"]["code"]) == (400, "invalid_request")
        assert "type must be" in answer["error"]["message"]


def test_without_name_and_type_both_are_explained(ask: Ask) -> None:
    status, answer = ask(json.dumps({"size": 12345}))
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert "extension must be" in answer["error"]["message"]
    assert '"type": "image/jpeg"' in answer["error"]["message"]


@pytest.mark.parametrize(
    ("asked", "advice"),
    [
        *((name, REJECTIONS["unsupported_heic"]) for name in ("heic", "HEIF", ".hif", "heics")),
        ("image/heic", REJECTIONS["unsupported_heic"]),
        ("image/heif-sequence", REJECTIONS["unsupported_heic"]),
        ("tif", "TIFF pictures can't be used. Save the picture as JPEG or PNG"),
        ("image/tiff", "TIFF pictures"),
        ("bmp", "BMP pictures"),
        ("image/x-ms-bmp", "BMP pictures"),
        ("svg", "SVG drawings can't be used. Export the drawing as PNG"),
        ("image/svg+xml", "SVG drawings"),
        ("jxl", "JPEG XL pictures"),
        ("image/jxl", "JPEG XL pictures"),
        ("jp2", "JPEG 2000 pictures"),
        ("DNG", "Camera RAW files can't be used. Export the photo as JPEG"),
        ("cr3", "Camera RAW files"),
        ("image/x-adobe-dng", "Camera RAW files"),
        ("ico", "Icons can't"),
        ("psd", "Photoshop files"),
        ("pdf", "PDF documents"),
        ("mov", "Videos can't be used. Send a still picture"),
        ("video/quicktime", "Videos"),
    ],
)
def test_a_known_format_that_is_not_taken_gets_its_own_advice(
    asked: str, advice: str, ask: Ask
) -> None:
    by_type = "/" in asked
    requests = [{"extension": asked}, {"extension": "blob", "type": asked}]
    requests += [{"type": asked}] * by_type
    for request in requests[: None if by_type else 1]:
        status, answer = ask(json.dumps({**request, "size": 12345}))
        code = "unsupported_extension" if "extension" in request else "unsupported_type"
        assert (status, answer["error"]["code"]) == (400, code)
        assert answer["error"]["message"].startswith(advice)


def test_what_is_taken_is_what_the_pipeline_reads() -> None:
    assert set(CONTENT_TYPES.values()) == {f"image/{kind.lower()}" for kind in MAX_PIXELS}
    assert send.CONTENT_TYPES == CONTENT_TYPES


@pytest.mark.parametrize("size", [1, MAX])
def test_takes_sizes_up_to_the_limit(size: int, ask: Ask) -> None:
    assert ask(body(size=size))[0] == 200


@pytest.mark.parametrize("size", [MAX + 1, 10**900])
def test_a_larger_picture_is_told_the_limit(size: int, ask: Ask) -> None:
    status, answer = ask(body(size=size))
    assert (status, answer["error"]["code"]) == (413, "too_large")
    assert "at most 25 MB." in answer["error"]["message"]
    assert answer["error"]["max_size"] == MAX


@pytest.mark.parametrize(
    ("limit", "shown"),
    [(1024, "1 KB"), (100_000, "97 KB"), (2**20, "1 MB"), (2_700_000, "2.5 MB"), (2**25, "32 MB")],
)
def test_the_limit_is_told_in_megabytes(limit: int, shown: str) -> None:
    with pytest.raises(RequestError, match=f"at most {shown}\\."):
        read(body(size=limit + 1), False, limit)


@pytest.mark.parametrize("size", [0, -1, True, False, None, 12345.0, 1.5, "12345", [1], {}])
def test_a_size_that_is_no_count_of_bytes_is_refused(size: Any, ask: Ask) -> None:
    status, answer = ask(body(size=size))
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert "size must be" in answer["error"]["message"]


@pytest.mark.parametrize("extension", [None, 1, True, ["jpg"], {"jpg": 1}])
def test_an_extension_that_is_no_text_is_refused(extension: Any, ask: Ask) -> None:
    status, answer = ask(body(extension))
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert "extension must be" in answer["error"]["message"]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "jpg",
        "null",
        "[]",
        '["jpg", 12345]',
        "extension=jpg&size=12345",
        '{"extension": "jpg", "size": NaN}',
        '{"extension": "jpg", "size": Infinity}',
        '{"extension": "jpg", "size": 1, "size": 99999}',
        '{"extension": "jpg", "size": 12345',
        '{"extension": "jpg", "size": 12345} {}',
        "\ufeff" + body(),
        "[" * 1000,
        body(pad="x" * 2000),
        body(size=10**2000),
    ],
)
def test_a_body_that_is_no_small_json_object_is_refused(text: str | None, ask: Ask) -> None:
    status, answer = ask(text)
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert "body" in answer["error"]["message"]


def test_a_binary_body_is_read_as_it_was_sent(ask: Ask) -> None:
    assert ask(base64.b64encode(body().encode()).decode(), base64=True)[0] == 200


@pytest.mark.parametrize("text", ["%%%", "e30", base64.b64encode(b"\xff\xfe").decode(), "\u00e9"])
def test_a_broken_binary_body_is_refused(text: str, ask: Ask) -> None:
    status, answer = ask(text, base64=True)
    assert (status, answer["error"]["code"]) == (400, "invalid_request")


def test_the_key_never_comes_from_the_request(ask: Ask) -> None:
    assert ask(body(key="someone-else", sub="someone-else"))[1]["key"] == SUB


@pytest.mark.parametrize("sub", [None, "", 7, "a/b", "../x", "a.jpg", "a b", "\u00e9", "x" * 129])
def test_without_a_caller_that_can_be_a_key_there_is_no_url(
    sub: Any, ask: Ask, log: io.StringIO
) -> None:
    status, answer = ask(body(), sub=sub)
    assert (status, answer["error"]["code"]) == (401, "unauthorized")
    assert '"no_caller"' in log.getvalue()


@pytest.mark.parametrize("context", [{}, {"authorizer": None}, {"authorizer": {"jwt": {}}}])
def test_a_route_without_the_authorizer_gives_no_url(
    context: dict[str, Any], function: Any, log: io.StringIO
) -> None:
    event = {"body": body(), "requestContext": context}
    assert function.handler(event, SimpleNamespace(aws_request_id="r-1"))["statusCode"] == 401
    assert '"no_caller"' in log.getvalue()


def test_logs_who_and_what_but_neither_the_url_nor_a_credential(ask: Ask, log: io.StringIO) -> None:
    _status, answer = ask(body())
    line = json.loads(log.getvalue())
    assert {"key": SUB, "size": 12345, "request_id": "r-1"}.items() <= line.items()
    signature = parse_qs(urlsplit(answer["url"]).query)["X-Amz-Signature"][0]
    for secret in (signature, "X-Amz", *(v for n, v in ENVIRONMENT.items() if n[:7] == "AWS_SEC")):
        assert secret not in log.getvalue()
    assert ENVIRONMENT["AWS_SESSION_TOKEN"] not in log.getvalue()


FUZZ = settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
EXTENSIONS = st.sampled_from(["jpg", "PNG", ".gif", "heic"]) | ANY
TYPES = st.sampled_from(["image/jpeg", "image/png;q=1", "image/heic"]) | ANY
BODIES = (
    st.text(max_size=80)
    | ANY.map(json.dumps)
    | st.fixed_dictionaries({}, optional={"extension": EXTENSIONS, "type": TYPES, "size": ANY}).map(
        json.dumps
    )
)


@FUZZ
@given(text=st.none() | BODIES, binary=st.booleans())
def test_answers_any_body_with_a_url_or_a_reason(text: str | None, binary: bool, ask: Ask) -> None:
    status, answer = ask(text, base64=binary)
    if status == 200:
        assert answer["key"] == SUB
    else:
        assert (status, answer["error"]["code"]) in {
            (400, "invalid_request"),
            (400, "unsupported_extension"),
            (400, "unsupported_type"),
            (413, "too_large"),
        }
        assert answer["error"]["message"].isprintable()


@FUZZ
@given(data=st.binary(max_size=80) | BODIES.map(lambda text: text.encode("utf-8", "replace")))
def test_answers_any_bytes_with_a_url_or_a_reason(data: bytes, ask: Ask) -> None:
    status, _answer = ask(base64.b64encode(data).decode(), base64=True)
    assert status in {200, 400, 413}


def test_the_number_of_fuzzed_bodies_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/attacks.md").read_text()
    assert f"**{2 * FUZZ.max_examples:,}** fuzzed bodies" in page


def test_a_banner_goes_to_a_key_of_its_own_and_names_its_variants(ask: Ask) -> None:
    asked = {"extension": "jpg", "size": 5, "crop": [0, 0.25, 1], "kind": "banner"}
    status, answer = ask(json.dumps(asked))
    assert status == 200
    assert answer["key"] == f"banners/{SUB}"
    assert f"/banners/{SUB}?" in answer["url"]
    assert answer["variants"] == ["1500x500.jpg", "600x200.webp"]
    assert answer["headers"]["x-amz-meta-crop"] == "0,0.25,1"
    _, avatar = ask(json.dumps({**asked, "kind": "avatar"}))
    assert avatar["key"] == SUB
    assert ask(json.dumps({**asked, "kind": None}))[1]["key"] == SUB


@pytest.mark.parametrize("kind", ["", "Banner", "banners", "../x", 1, True, ["banner"], {}])
def test_another_kind_is_refused_with_those_there_are(ask: Ask, kind: object) -> None:
    status, answer = ask(json.dumps({"extension": "jpg", "size": 5, "kind": kind}))
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert answer["error"]["message"] == "kind must be one of avatar, banner."
