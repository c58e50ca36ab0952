"""The presigning function's clock is off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from console.operations import web
from console.operations.uploads.test_users import SignIn
from presign.sigv4 import Credentials, presign_put
from tests.faults.ledger import Ledger
from tests.integration.system import picture

EXPIRED, TOO_EARLY = "Request has expired", "Request is not yet valid"


SKEWS = {-60: EXPIRED, -10: EXPIRED, 60: TOO_EARLY}


def test_a_url_of_a_wrong_clock_is_refused_with_its_reason_and_a_new_one_works(
    ledger: Ledger, ada: SignIn
) -> None:
    here, body = ledger.here, picture(90)
    headers = {"Content-Type": "image/jpeg"}

    def signed(minutes: int) -> str:
        return presign_put(
            f"{here.access['AWS_ENDPOINT_URL']}/{here.uploads_bucket}",
            "skewed.jpg",
            {"content-type": "image/jpeg", "content-length": str(len(body))},
            region=here.region,
            credentials=Credentials(
                here.access["AWS_ACCESS_KEY_ID"], here.access["AWS_SECRET_ACCESS_KEY"], None
            ),
            expires_in=300,
            now=datetime.now(UTC) + timedelta(minutes=minutes),
        )

    for minutes, reason in SKEWS.items():
        refused = web.request("PUT", signed(minutes), headers, body)
        assert refused.status == 403
        assert b"<Code>AccessDenied</Code>" in refused.body
        assert reason.encode() in refused.body
    ledger.put_to(signed(10), headers, "skewed.jpg", body)  # S3 forgives a quarter of an hour
    ledger.put_as_user(ada, picture(91))
    assert ledger.settle("presigning with a clock that is off")["served"] == 2
