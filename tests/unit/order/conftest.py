from __future__ import annotations

import importlib
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import dict_row

from console.operations.accounts import erasure
from console.operations.avatars import takedown
from console.operations.pipeline import reconcile
from resize import moderation, store
from tests.unit.order.machine import ADDRESS_SECONDS, NAME, RECORDING, World, placeholder, render
from tests.unit.order.workers import Pool


@pytest.fixture
def world(migrated_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The functions as they are, but for the image engine, and a user's row."""
    for name, value in {
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "ASSETS_BUCKET_NAME": "assets",
        "REVIEWS_TABLE_NAME": "reviews",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "s",
        "CLEANUP_QUEUE_URL": "https://sqs/cleanup",
        "AVATAR_VARIANTS": "512.jpg,512.webp",
        "MAX_UPLOAD_BYTES": "100000",
    }.items():
        monkeypatch.setenv(name, value)
    resize = importlib.reload(importlib.import_module("resize.handler"))
    profiles = importlib.import_module("profiles.handler")
    report = importlib.reload(importlib.import_module("report.handler"))
    monkeypatch.setattr(resize, "render", render)
    monkeypatch.setattr(resize, "placeholder", placeholder)
    monkeypatch.setattr(resize.log, "disabled", True)
    monkeypatch.setattr(resize, "store", None)
    monkeypatch.setattr(resize, "limits", None)
    monkeypatch.setattr(resize, "counting", None)
    monkeypatch.setattr(erasure, "ADDRESS_SECONDS", ADDRESS_SECONDS)
    monkeypatch.setattr(resize, "leftovers", None)
    monkeypatch.setattr(profiles, "_s3", None)
    monkeypatch.setattr(store, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(resize, "moderation", None)
    for module in (store, reconcile, takedown, erasure, moderation):  # the machine is their clock
        monkeypatch.setattr(module, "time", None)
    connections = [
        psycopg.connect(migrated_database, autocommit=True, row_factory=dict_row)
        for _ in range(RECORDING + 2)
    ]
    connections[0].execute(
        "INSERT INTO users (display_name, handle, email, cognito_user_id)"
        " VALUES ('Ada', 'ada', 'ada@example.com', %s)",
        (NAME,),
    )
    try:
        yield World(
            resize=resize,
            profiles=profiles,
            report=report,
            store=lambda client: store.Store(client, "assets", 100_000),  # type: ignore[arg-type]
            watcher=connections[0],
            connections=connections[1:],
        )
    finally:
        for connection in connections:
            connection.close()
