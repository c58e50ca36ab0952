"""AWS Signature Version 4 in the query string, for one PUT to S3.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html. The tests
compare each URL with botocore's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote, urlsplit

import sigv4
from sigv4 import Credentials


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
    time = sigv4.timestamp(now)
    scope = sigv4.scope(time, region, "s3")
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
    signature = sigv4.signature(canonical_request, time, scope, credentials)
    return f"{url}?{query}&X-Amz-Signature={signature}"
