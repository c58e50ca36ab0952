"""API Gateway asks here whether a request may pass, and as whom (payload 2.0, simple response)."""

from __future__ import annotations

import functools
import time
from typing import Any

import json_log
from authorizer import settings
from authorizer.jwks import JwksCache, fetch_document
from authorizer.tokens import TokenRefusedError, bearer_token, verify

SETTINGS = settings.from_environment()
KEYS = JwksCache(functools.partial(fetch_document, SETTINGS.jwks_url))
LOG = json_log.logger("authorizer")


@json_log.with_request_id
def handler(event: dict[str, Any], _context: json_log.LambdaContext) -> dict[str, Any]:
    """Answer ``{"isAuthorized", "context": {"sub", "username"}}``.

    Raises
    ------
    authorizer.jwks.JwksUnavailableError
        If no token at all can be judged. API Gateway then answers 500 and caches nothing.
    """
    try:
        token = bearer_token((event.get("headers") or {}).get("authorization"))
        claims = verify(token, KEYS, SETTINGS, time.time())
    except TokenRefusedError as refusal:
        LOG.info("refused", extra={"fields": {"reason": refusal.reason}})
        return {"isAuthorized": False, "context": {}}
    return {
        "isAuthorized": True,
        "context": {"sub": claims["sub"], "username": claims["username"]},
    }
