"""Failures, in a browser on the running system."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from console.operations.environments.deployment import Deployment
from console.operations.pipeline import dead_letters
from console.operations.uploads import names, outcomes
from tests.integration.system import picture, wait_until


def test_a_dead_letter_is_seen_and_redriven_once_by_a_double_click(
    page_at: Callable[[str], Page], here: Deployment
) -> None:
    key = "redriven-in-browser.jpg"
    stored = here.s3.put_object(Bucket=here.uploads_bucket, Key=key, Body=picture(3001))
    version = stored["ETag"].strip('"')
    name = names.name_of(key)
    wait_until(lambda: outcomes.shown_version(here, name) == version, "the first avatar")
    here.s3.delete_object(Bucket=here.assets_bucket, Key=f"avatars/{name}.jpg")
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": here.uploads_bucket}, "object": {"key": key}},
    }
    here.sqs.send_message(
        QueueUrl=here.dead_letter_queue_url, MessageBody=json.dumps({"Records": [record]})
    )
    page = page_at("/failures")
    page.get_by_role("button", name="Refresh").click()
    row = (
        page.locator('[data-testid="stVerticalBlock"]')
        .filter(has_text=key)
        .filter(has=page.get_by_text("Details"))
        .last
    )
    expect(page.get_by_test_id("stCheckbox").filter(has_text=key)).to_be_visible(timeout=15_000)
    row.get_by_text("Details").first.click()
    expect(page.locator("img").first).to_be_visible(timeout=15_000)
    page.get_by_test_id("stCheckbox").filter(has_text=key).locator("label").click()
    page.get_by_role("button", name="Redrive 1 chosen").dblclick()
    expect(page.get_by_text("1 message put back on the queue.")).to_have_count(1, timeout=20_000)
    wait_until(lambda: outcomes.shown_version(here, name) == version, "the avatar")
    assert all(key not in m.keys for m in dead_letters.sample(here).messages)
    expect(page.get_by_text("redrive: ")).to_have_count(1)


def test_a_rejected_upload_shows_its_reason_and_its_record_is_discarded(
    page_at: Callable[[str], Page], here: Deployment
) -> None:
    key = "words-in-browser.jpg"
    stored = here.s3.put_object(Bucket=here.uploads_bucket, Key=key, Body=b"no picture")
    version = stored["ETag"].strip('"')
    name = names.name_of(key)
    wait_until(lambda: outcomes.rejection(here, name, version), "the rejection")
    page = page_at("/failures?show=rejected")
    page.get_by_text(key).first.click()
    expect(page.get_by_text("unsupported_format").first).to_be_visible()
    page.get_by_text("Discard the chosen records").click()
    discard = page.get_by_role("button", name="Discard records")
    expect(discard).to_be_disabled()
    page.get_by_label("Type").last.fill("local")
    page.keyboard.press("Enter")
    discard.click()
    expect(page.get_by_text("1 record discarded.")).to_be_visible(timeout=20_000)
    assert not outcomes.rejection(here, name, version)


def test_a_redrive_of_all_goes_at_a_pace_and_is_stopped(
    page_at: Callable[[str], Page], here: Deployment
) -> None:
    # put back, it is passed over: a folder is no upload
    record = {"bucket": {"name": here.uploads_bucket}, "object": {"key": "put-back/"}}
    event = json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": record}]})
    for _ in range(30):
        here.sqs.send_message(QueueUrl=here.dead_letter_queue_url, MessageBody=event)
    page = page_at("/failures")
    page.get_by_role("button", name="Refresh").click()
    page.get_by_role("spinbutton", name="At most, per second").fill("1")
    page.keyboard.press("Enter")
    page.get_by_role("button", name=re.compile(r"Redrive all \d+ at 1 a second")).click()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text(re.compile("Stopped by .* put back on the queue"))).to_be_visible()
    assert dead_letters.sample(here, 0).total
    here.sqs.purge_queue(QueueUrl=here.dead_letter_queue_url)
