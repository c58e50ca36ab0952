"""A console page as its script draws it, without a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from moto import mock_aws
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Element

from console.operations.avatars import cdn
from console.operations.environments import clients, deployment

Show = Callable[..., AppTest]

SETTINGS = """
REGION=eu-central-1
API_URL=http://api.invalid
ASSETS_URL=http://assets.invalid
UPLOADS_BUCKET=uploads
ASSETS_BUCKET=assets
DISTRIBUTION_ID=E123
USER_POOL_ID=pool
USER_POOL_CLIENT_ID=client
QUEUE_URL=http://queue.invalid
DEAD_LETTER_QUEUE_URL=http://dead.invalid
TOPIC_ARN=arn:aws:sns:eu-central-1:000000000000:topic
FUNCTION_NAMES={"resize": "resize"}
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of an environment without a database, whose AWS is moto's."""
    path = tmp_path / ".env.local"
    path.write_text(SETTINGS)
    for name, value in {
        "ENV": "local",
        "AVATAR_OPS_ENV_DIR": str(tmp_path),
        "AVATAR_OPS_STATE": str(tmp_path),
        "DATABASE_URL": "",
        "DATABASE_URL_ORIGIN": "command line",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)

    def forget() -> None:
        clients.forget_clients()
        cdn._known_paths.clear()
        st.cache_data.clear()
        st.cache_resource.clear()

    forget()
    with mock_aws():
        yield path
    forget()


@pytest.fixture
def show(settings: Path, monkeypatch: pytest.MonkeyPatch) -> Show:
    """Draw a page: ``show("cdn")``, or as a signed-in member of a group: ``group="viewers"``."""
    begin = PagesManager.__init__

    def navigated(self: PagesManager, *args: Any, **options: Any) -> None:
        begin(self, *args, **options)
        # So it is once app.py has run in a process; AppTest forgets it before each run
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", navigated)

    def draw(page: str, group: str | None = None) -> AppTest:
        app = AppTest.from_file(deployment.ROOT / "console/app.py", default_timeout=60)
        if group is not None:
            app.secrets["auth"] = {"client_id": "console"}
            app.user = {
                "is_logged_in": True,
                "email": "vera@example.com",
                "cognito:groups": [group],
            }
        app.run()
        return app.switch_page(f"pages/{page}.py").run()

    return draw


def text(app: AppTest) -> str:
    """Return what the page says in sentences."""
    return "\n".join(
        str(element.value)
        for kind in ("error", "warning", "info", "success", "markdown", "caption")
        for element in app.get(kind)
        if isinstance(element, Element)
    )
