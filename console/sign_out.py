"""Sign out of Cognito as well: without that, the next sign-in goes through without a password.

Streamlit ends the provider's session as OIDC says, with ``post_logout_redirect_uri``. Cognito wants
its own ``logout_uri`` in that place, one of the client's sign-out URLs, and shows an error without.

https://docs.aws.amazon.com/cognito/latest/developerguide/logout-endpoint.html
"""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import quote

from streamlit.web.server.starlette import starlette_auth_routes as routes

CALLBACK = "/oauth2callback"


def install() -> None:
    """Have Streamlit say so too, once in each process."""
    build = routes.build_logout_url  # type: ignore[attr-defined]
    if hasattr(build, "__wrapped__"):
        return

    @functools.wraps(build)
    def with_logout_uri(**options: Any) -> str:
        back = str(options["post_logout_redirect_uri"]).removesuffix(CALLBACK)
        return f"{build(**options)}&logout_uri={quote(back + '/', safe='')}"

    routes.build_logout_url = with_logout_uri  # type: ignore[attr-defined, assignment]
