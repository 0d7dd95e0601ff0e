"""Where a pasted message would go, and the page over HTTP."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import pytest
from building import route, table
from hypothesis import given
from hypothesis.strategies import text
from page_scene import HOSTILE, IMAGES, TABLE, VIDEOS, Outline, Scene, working
from scenario import WALL

from lambdo_router.admin import admin_app
from lambdo_router.admin.page.templates import assets
from lambdo_router.admin.page.try_message import (
    NotAForm,
    TryForm,
    TryStep,
    read_form,
    try_message,
)
from lambdo_router.core.profile import Overrides
from lambdo_router.core.routing import Queue
from lambdo_router.core.schemas import compile_schema
from lambdo_router.engine.failure_reports import FailureReports

MOVED = "Rejected: moved to queue rejected"
NOT_ACCEPTED = "SQS would not accept this message"

# A message that is pasted


@pytest.mark.parametrize(
    ("form", "tone", "headline"),
    [
        (TryForm("uploads", "kind=image", "{}"), "good", "It takes the route image-uploads"),
        (TryForm("uploads", "kind=sound", "{}"), "bad", f"{MOVED} (unmatched)"),
        (
            TryForm("uploads", "kind=image\nsize=huge", "{}"),
            "bad",
            f"{MOVED} (override_denied, by route image-uploads)",
        ),
        (TryForm("uploads", "", "no json"), "bad", f"{MOVED} (not_json)"),
        (TryForm("rejected", "", "{}"), "quiet", "It stays on the queue: no route reads rejected"),
        (TryForm("uploads", "kind", "{}"), "bad", NOT_ACCEPTED),
        (TryForm("uploads", "", ""), "bad", NOT_ACCEPTED),
        (TryForm("elsewhere", "", "{}"), "bad", NOT_ACCEPTED),
    ],
    ids=[
        "taken",
        "unmatched",
        "override-denied",
        "not-json",
        "not-read",
        "no-equals",
        "no-body",
        "no-queue",
    ],
)
def test_where_a_message_would_go(form: TryForm, tone: str, headline: str) -> None:
    found = try_message(TABLE, form, WALL)

    assert (found.tone, found.headline) == (tone, headline)


def test_a_command_that_is_no_text_is_denied_and_shown_escaped() -> None:
    made = table(route(overrides=Overrides(command=True)))
    found = try_message(made, TryForm("q", 'command=["\\ud800"]', "{}"), WALL)

    assert found.headline.endswith("(override_denied, by route orders)")
    assert all(map(str.isascii, found.details))


def test_each_route_says_why_it_does_not_match() -> None:
    found = try_message(TABLE, TryForm("uploads", "kind=video", "{}"), WALL)

    assert found.steps == (
        TryStep(
            "image-uploads",
            "no",
            'attributes.kind: "video" is not "image", nor does it start with "img-"',
        ),
        TryStep("video-uploads", "takes it"),
    )


def test_what_the_sender_has_chosen_is_marked() -> None:
    found = try_message(TABLE, TryForm("uploads", "kind=image\nsize=performance-2x", "{}"), WALL)

    assert dict(found.facts)["size"] == (
        "performance-2x (chosen by the sender, instead of shared-cpu-1x)"
    )
    assert dict(found.facts)["batch"] == (
        "up to 25 events; launched when full, or 2.0 s after the first event and as soon as a "
        "launch slot is free"
    )


def test_an_event_that_breaks_the_schema_hears_every_problem(tmp_path: Path) -> None:
    file = tmp_path / "order.schema.json"
    file.write_text(
        '{"type": "object", "required": ["id"], "properties": {"n": {"type": "integer"}}}'
    )
    schema = compile_schema(file, Path.read_bytes).schema
    made = table(route(schema=schema))
    found = try_message(made, TryForm("q", "", '{"n": "x"}'), WALL)

    assert found.headline == (
        "Left on the queue, to its redrive policy (schema_invalid, by route orders)"
    )
    assert len(found.details) == 2
    assert found.steps == (TryStep("orders", "refuses it"),)


def test_of_very_many_routes_the_last_step_is_still_the_one_that_counts() -> None:
    others = (replace(VIDEOS, name=f"r{number}") for number in range(300))
    made = table(*others, IMAGES, queues=(Queue("uploads", url="u"),))
    found = try_message(made, TryForm("uploads", "kind=image", "{}"), WALL)

    assert (len(found.steps), found.more_steps) == (100, 201)
    assert found.steps[-1] == TryStep("image-uploads", "takes it")


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (b"queue=q&attributes=a%3D1%0D%0Ab%3D2&body=%7B%7D", TryForm("q", "a=1\nb=2", "{}")),
        (b"", TryForm()),
        (b"queue=q&body=", TryForm("q")),
    ],
)
def test_a_form_as_browsers_send_it(body: bytes, asked: TryForm) -> None:
    assert read_form(body) == asked


@given(text())
def test_every_text_comes_through_a_form(value: str) -> None:
    as_it_is = quote(value, safe=" \t\n\r=").encode()
    expected = TryForm(body=value.replace("\r\n", "\n"))

    assert read_form(urlencode({"body": value}).encode()) == expected
    assert read_form(b"body=" + as_it_is) == expected


@pytest.mark.parametrize(
    "body",
    [
        *(b"nothing", b"what=else", b"\xff", b"body=%ff", b"body=%ED%A0%80", b"body=%2"),
        *(b"body=%zz", b"&".join([b"body=1"] * 99)),
    ],
)
def test_what_is_no_form_of_the_page_is_refused(body: bytes) -> None:
    with pytest.raises(NotAForm):
        read_form(body)


# Over HTTP


def client(scene: Scene) -> httpx.AsyncClient:
    app = admin_app(FailureReports(None), more=scene.page.routes())  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://router")


async def test_the_page_is_whole_without_a_script() -> None:
    async with client(working(WALL)) as http:
        page = await http.get("/")
    outline = Outline(page.text)

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert len(page.content) < 90_000
    assert not [attrs for _, attrs in outline.elements if "style" in attrs]
    assert not [name for _, attrs in outline.elements for name in attrs if name.startswith("on")]
    for made in TABLE.routes:
        assert made.name in outline.words


async def test_what_the_page_loads_is_kept_for_good_and_small() -> None:
    async with client(working(WALL)) as http:
        for address in (assets().style, assets().script, assets().icon, assets().icon_bad):
            asset = await http.get(address)
            assert asset.status_code == 200
            assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert len(asset.content) < 20_000
        missing = await http.get("/assets/page.css")

    assert missing.status_code == 404


@pytest.mark.real_time
async def test_before_there_is_a_table_the_page_is_there_and_no_message_is_decided_about() -> None:
    async with client(Scene(WALL)) as http:
        page = await http.get("/")
        answer = await http.post("/explain", content=urlencode({"queue": "q", "body": "{}"}))

    assert "Starting" in page.text
    assert "No routing table is in use yet" in answer.text


@pytest.mark.real_time
async def test_a_form_that_is_sent_without_a_script_comes_back_as_it_was_with_the_answer() -> None:
    fields = {"queue": "uploads", "attributes": "kind=image", "body": HOSTILE + "</textarea>"}
    async with client(working(WALL)) as http:
        page = await http.post("/explain", content=urlencode(fields))
    outline = Outline(page.text)

    assert f"{MOVED} (not_json)" in outline.words
    assert HOSTILE + "</textarea>" in outline.words
    assert ("option", {"selected": None}) in outline.elements
    assert "img" not in outline.tags()


@pytest.mark.real_time
async def test_the_script_gets_the_answer_alone() -> None:
    fields = urlencode({"queue": "uploads", "attributes": "kind=image", "body": "{}"})
    async with client(working(WALL)) as http:
        part = await http.post("/explain", content=fields, headers={"Accept": "text/x-part"})

    assert part.text.startswith('<div class="answer is-good">')


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, "queue=q&body=1", 403),
        ({}, "this is no form", 400),
        ({}, "body=" + "x" * 3_000_000, 413),
    ],
    ids=["from-another-site", "no-form", "too-large"],
)
async def test_what_is_not_decided_about(
    headers: dict[str, str], content: str, status: int
) -> None:
    async with client(working(WALL)) as http:
        refused = await http.post("/explain", content=content, headers=headers)

    assert refused.status_code == status


async def test_one_more_reader_than_there_may_be_is_told_so() -> None:
    scene = working(WALL)
    scene.page.live.most_readers = 0
    async with client(scene) as http:
        refused = await http.get("/events")

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    assert refused.text == "0 pages are open already; close some\n"
