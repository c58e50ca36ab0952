"""AWS Signature Version 4 in the query string, for one PUT to S3.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html. The tests
compare each URL with botocore's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit


@dataclass(frozen=True)
class Credentials:
    """Who signs; the secrets stay out of its text form."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False)


def presign_put(
    bucket_url: str,
    key: str,
    headers: Mapping[str, str],
    *,
    region: str,
    credentials: Credentials,
    expires_in: int,
    now: datetime,
) -> str:
    """Return the URL that lets anyone PUT this one object, with these headers exactly.

    Parameters
    ----------
    bucket_url
        The bucket's address, in lower case, without a slash at the end.
    key
        The object's name, as it is (not encoded).
    headers
        What the request must carry besides ``Host``, by names in lower case.
    expires_in
        Seconds from `now` on.
    now
        An aware time.
    """
    url = f"{bucket_url}/{quote(key, safe='/~')}"
    address = urlsplit(url)
    # Clients leave the default port out of the Host header, whatever the URL says.
    host = address.netloc.removesuffix(":443" if address.scheme == "https" else ":80")
    signed = {**headers, "host": host}
    names = ";".join(sorted(signed))
    time = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/{region}/s3/aws4_request"
    parameters = {  # in the order of their names, as the signature wants them
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": time,
        "X-Amz-Expires": str(expires_in),
    }
    if credentials.session_token:
        parameters["X-Amz-Security-Token"] = credentials.session_token
    parameters["X-Amz-SignedHeaders"] = names
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
    canonical_request = "\n".join(
        [
            "PUT",
            address.path,
            query,
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            "UNSIGNED-PAYLOAD",
        ]
    )
    digest = hashlib.sha256(canonical_request.encode()).hexdigest()
    signing_key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    to_sign = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}"
    signature = hmac.digest(signing_key, to_sign.encode(), "sha256").hex()
    return f"{url}?{query}&X-Amz-Signature={signature}"
