"""The page: what it shows of a status, what it tells of changes, and what it says of a message."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from building import profile, route, table
from page_scene import (
    BAD_IMAGE,
    CUT_OFF,
    HOSTILE,
    IMAGES,
    QUEUES,
    TABLE,
    VIDEOS,
    Scene,
    failing,
    working,
)
from scenario import WALL, now

from lambdo_router import journal
from lambdo_router.admin import admin_app
from lambdo_router.errors import LaunchRejected, QueueUnavailable
from lambdo_router.levels import Levels, MachineLevel, QueueLevel
from lambdo_router.page import wording
from lambdo_router.page.assets import assets
from lambdo_router.page.concerns import announcement, concerns, verdict
from lambdo_router.page.rendering import ON_THE_MAP, Region, Renderer, patch
from lambdo_router.page.stream import events
from lambdo_router.page.trying import Asked, NotAForm, Step, answer, read_form
from lambdo_router.page.views import figures, foremost_routes, machine_groups
from lambdo_router.page.watching import Watching, change
from lambdo_router.reports import Reports
from lambdo_router.routing import Queue
from lambdo_router.schemas import compile_schema

# Words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.00 s"),
        (0.349, "0.35 s"),
        (7.25, "7.2 s"),
        (48, "48 s"),
        (60, "1 min"),
        (250, "4 min 10 s"),
        (7500, "2 h 5 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert wording.duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (4200, "4.2 kB"), (1_300_000, "1.3 MB")]
)
def test_sizes(count: int, said: str) -> None:
    assert wording.size(count) == said


def test_times_are_told_in_utc() -> None:
    assert wording.moment(WALL) == "14 Nov 22:13:20"
    assert wording.iso(WALL) == "2023-11-14T22:13:20Z"


def test_the_highest_bar_is_as_high_as_there_is_room_and_nothing_is_no_bar() -> None:
    assert wording.bars([0, 5, 10]) == "M5 24v-12h4v12zM10 24v-24h4v24z"
    assert wording.bars([1, 1000]).startswith("M0 24v-2h4")
    assert wording.bars([]) == wording.bars([0, 0]) == ""


# What goes together


def test_the_figures_are_sums_over_the_last_minute_and_this_moment() -> None:
    shown = figures(failing(WALL).status())

    assert (shown.waiting, shown.running, shown.launching) == (19, 4, 1)
    assert shown.missed == 8


def test_machines_are_told_by_app_and_profile_and_those_of_no_route_come_last() -> None:
    scene = working(WALL)
    stranger = MachineLevel("acme-jobs", "", 2, 0)
    scene.levels = replace(scene.levels, machines=(*scene.levels.machines, stranger))
    status = scene.status()
    groups = machine_groups(status, status.routes)

    assert [(group.profile, group.running, group.launching) for group in groups] == [
        ("thumbnailer", 3, 1),
        ("transcoder", 0, 0),
        ("ledger", 0, 0),
        ("mailer", 1, 0),
        ("archiver", 0, 0),
        ("", 2, 0),
    ]
    assert [end.state for end in groups[0].recent] == ["succeeded"] * 11 + ["running"]


def test_a_profile_that_fly_refuses_is_in_trouble_and_a_batch_of_it_is_tried_again() -> None:
    status = failing(WALL).status()
    groups = {group.profile: group for group in machine_groups(status, status.routes)}

    assert [name for name, group in groups.items() if group.trouble] == ["transcoder"]
    assert {end.state for end in groups["transcoder"].recent} == {"trying_again"}


def test_of_many_routes_those_that_fail_are_shown_first_then_the_busy_ones_in_file_order() -> None:
    status = failing(WALL).status()

    def names(most: int) -> list[str]:
        return [shown.name for shown in foremost_routes(status.routes, most)]

    assert names(2) == ["video-uploads", "order-paid"]
    assert names(3) == ["image-uploads", "video-uploads", "order-paid"]
    assert len(names(5)) == 5


# What fails


def test_all_is_well_where_nothing_fails() -> None:
    status = working(WALL).status()

    assert verdict(status) == ("All is well", "good")
    assert announcement(status) == "All is well."


def test_each_thing_that_fails_says_what_to_do_and_where_to_read_on() -> None:
    status = failing(WALL).status()
    found = {concern.kind + " " + concern.name: concern for concern in concerns(status)}

    assert verdict(status) == ("Ready, but 3 things fail", "bad")
    assert announcement(status) == (
        "Ready, but 3 things fail: route video-uploads, route order-paid, the routes file."
    )
    videos = found["Route video-uploads"]
    assert (videos.place, videos.anchor) == ("routes.yaml:23", "route-video-uploads")
    assert videos.why == f"launch: {BAD_IMAGE}"
    assert videos.advice.startswith("This does not pass by itself: mend the profile")
    assert videos.next_try == WALL + 24
    assert found["Route order-paid"].advice.startswith("Its Machines end badly")
    assert found["The routes file "].anchor == "reloads"


def test_a_queue_that_is_not_reached_makes_the_router_not_ready_and_is_named() -> None:
    scene = working(WALL)
    scene.tell(journal.QueueFailed("signups", "receive", CUT_OFF, 4.0))
    scene.at += 40
    status = scene.status()
    [concern] = concerns(status)

    assert verdict(status) == ("Not ready", "bad")
    assert (concern.kind, concern.name, concern.fatal) == ("Queue", "signups", True)
    assert concern.advice == "It is tried again; nothing is lost meanwhile."


def test_a_token_that_fly_refuses_comes_with_the_command_for_a_new_one() -> None:
    scene = working(WALL)
    refused = LaunchRejected("401 unauthorized", code="bad_token")
    scene.refuse(scene.batch(IMAGES, "uploads", 1), refused, 15.0)
    advice = {concern.kind: concern.advice for concern in concerns(scene.status())}

    assert advice["Fly app"] == "Make a new token: fly tokens create deploy -a acme-jobs"


def test_a_router_that_stops_or_starts_does_not_look_broken() -> None:
    scene = working(WALL)
    scene.tell(journal.Stopping(25.0))

    assert verdict(scene.status()) == ("Stopping", "busy")
    assert verdict(Scene(WALL).status()) == ("Starting", "busy")


# The HTML


class Outline(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}


def regions_of(scene: Scene) -> dict[str, Region]:
    return dict(Renderer().regions(scene.status(), {}))


def test_every_queue_route_and_profile_has_its_card() -> None:
    regions = regions_of(working(WALL))

    assert list(regions["queues"]) == [f"={name}" for name in QUEUES]
    assert list(regions["routes"]) == [f"={made.name}" for made in TABLE.routes]
    assert list(regions["machines"]) == [
        f"=acme-jobs/{name}"
        for name in ("thumbnailer", "transcoder", "ledger", "mailer", "archiver")
    ]


def test_a_card_says_what_flows_to_it_and_from_it() -> None:
    html = regions_of(working(WALL))["routes"]["=image-uploads"]
    [(_, card)] = [element for element in Outline(html).elements if element[0] == "li"]

    assert json.loads(card["data-flows"] or "") == [["=uploads", 42]]
    assert card["data-group"] == "=acme-jobs/thumbnailer"
    assert card["data-launches"] == "6"


def test_a_route_that_reads_several_queues_has_a_flow_from_each() -> None:
    scene = working(WALL)
    now = Watching(scene.status, scene.page._flows.last_minute).now(0.0)
    html = now.regions["routes"]["=order-mail"]
    [(_, card)] = [element for element in Outline(html).elements if element[0] == "li"]

    assert json.loads(card["data-flows"] or "") == [["=orders", 4], ["=signups", 2]]


def test_a_failing_route_says_why_since_when_and_where_it_is_written() -> None:
    regions = regions_of(failing(WALL))

    for region in ("routes", "route-rows"):
        html = regions[region]["=video-uploads"]
        words = " ".join(Outline(html).words.split())
        assert "failing" in words
        assert str(BAD_IMAGE) in words
        assert "routes.yaml:23" in words
        assert 'class="is-bad"' in html or 'class="card is-bad"' in html


def test_a_batch_names_its_messages_how_often_they_came_and_its_machine() -> None:
    scene = working(WALL)
    batch = next(b for b in scene.status().batches if any(e.receives > 1 for e in b.events))
    words = " ".join(Outline(regions_of(scene)["batch-rows"][f"={batch.id}"]).words.split())

    assert all(event.message_id in words for event in batch.events)
    assert "received 2 times" in words
    assert str(batch.machine_id) in words


def test_a_reload_shows_what_is_different_and_a_refused_one_every_problem() -> None:
    refused, accepted = regions_of(failing(WALL))["reloads"].values()

    assert "no profile is called `hevy`" in Outline(refused).words
    assert "unknown key `que`" in Outline(refused).words
    assert "generation 5f1c09d2aa31 instead of 77aa11bb22cc" in Outline(accepted).words
    assert '<li class="wrap added">+ route `audit`' in accepted


def test_nothing_at_all_is_said_to_be_nothing() -> None:
    regions = regions_of(Scene(WALL))

    assert {name: list(region) for name, region in regions.items() if "note" in region} == {
        name: ["note"]
        for name in (
            *("queues", "routes", "machines", "route-rows", "queue-rows"),
            *("batch-rows", "failure-rows", "reloads"),
        )
    }


def test_of_a_thousand_routes_the_page_shows_some_and_says_how_many_more_there_are() -> None:
    scene = Scene(WALL)
    made = table(*(route(f"r{number}") for number in range(1000)))
    scene.start(made, ["q"])
    regions = regions_of(scene)

    assert len(regions["routes"]) == ON_THE_MAP + 1
    assert Outline(regions["routes"]["note"]).words == "and 970 more in the table below"
    assert Outline(regions["route-rows"]["note"]).words == "and 800 more; /status has them all"
    assert sum(len(html) for region in regions.values() for html in region.values()) < 400_000


def test_text_from_elsewhere_stays_text_wherever_it_is_shown() -> None:
    scene = Scene(WALL)
    hostile = route(HOSTILE, queues=(HOSTILE,), profile=profile(name=HOSTILE, app=HOSTILE))
    scene.start(table(hostile, queues=(Queue(HOSTILE),)), [HOSTILE])
    scene.run(scene.batch(hostile, HOSTILE, 1), HOSTILE)
    scene.refuse(scene.batch(hostile, HOSTILE, 1), LaunchRejected(HOSTILE, code="bad_image"), 9.0)
    scene.tell(
        journal.QueueFailed(HOSTILE, "receive", QueueUnavailable(HOSTILE), 4.0),
        journal.RoutesRefused((HOSTILE,)),
        journal.RoutesLoaded("g1", (HOSTILE,), {HOSTILE: HOSTILE}, (HOSTILE,)),
    )
    level = MachineLevel(HOSTILE, HOSTILE, 1, 0)
    scene.levels = Levels("g1", (QueueLevel(HOSTILE, "reading"),), (level,))
    html = "".join(part for region in regions_of(scene).values() for part in region.values())
    outline = Outline(html)

    assert outline.words.count(HOSTILE) >= 20
    assert outline.tags() & {"img", "script"} == set()


def test_no_value_of_a_profiles_environment_is_on_the_page() -> None:
    html = "".join(
        part for region in regions_of(working(WALL)).values() for part in region.values()
    )
    asked = Asked("uploads", "kind=image", "{}")

    assert "s3cret" not in html
    assert "s3cret" not in repr(answer(TABLE, asked, WALL))


# What has changed


def test_a_state_that_is_the_same_again_is_rendered_once() -> None:
    scene, renderer = working(WALL), Renderer()
    before = renderer.regions(scene.status(), {})
    after = renderer.regions(scene.status(), {})

    assert patch(before, after) == {}
    assert after["routes"]["=audit"] is before["routes"]["=audit"]


def test_a_patch_has_the_parts_that_are_different_and_no_others() -> None:
    scene, renderer = working(WALL), Renderer()
    before = renderer.regions(scene.status(), {})
    scene.launch(scene.batch(VIDEOS, "uploads", 1))
    found = patch(before, renderer.regions(scene.status(), {}))

    assert set(found) == {
        *("figures", "queues", "routes", "machines"),
        *("route-rows", "queue-rows", "batch-rows"),
    }
    assert set(found["routes"]["parts"]) == {"=video-uploads"}
    assert "order" not in found["routes"]
    assert len(found["batch-rows"]["order"]) == 25
    assert len(found["batch-rows"]["parts"]) == 1


def test_who_has_seen_a_state_that_is_not_known_any_more_is_told_everything() -> None:
    scene = working(WALL)
    watching = Watching(scene.status, scene.page._flows.last_minute)
    first = watching.now(0.0)
    for at in range(1, 6):
        scene.ten_seconds(at)
        last = watching.now(float(at))

    assert watching.seen(last.version) is last
    assert watching.seen(first.version) is None
    told = change(None, last)["regions"]
    assert set(told) == {name for name, region in last.regions.items() if region}


def test_a_state_serves_everybody_for_half_a_second() -> None:
    scene = working(WALL)
    watching = Watching(scene.status, scene.page._flows.last_minute)
    first = watching.now(10.0)
    scene.ten_seconds(1)

    assert watching.now(10.4) is first
    assert watching.now(10.5) is not first


# The stream


async def taken(stream: AsyncGenerator[str, None], count: int) -> list[tuple[float, str]]:
    return [(now(), await anext(stream)) for _ in range(count)]


def parsed(event: str) -> dict[str, object]:
    found = re.fullmatch(r"id: (\S+)\ndata: (.+)\n\n", event)
    assert found is not None
    data: dict[str, object] = json.loads(found[2])
    return data


async def test_a_reader_is_told_at_most_twice_a_second_however_much_happens() -> None:
    scene = working(WALL)
    watching = Watching(scene.status, scene.page._flows.last_minute)
    times: list[float] = []

    async def flood() -> None:
        while True:
            scene.batch(IMAGES, "uploads", 1)
            await asyncio.sleep(0.01)

    flooding = asyncio.create_task(flood())
    with scene.changes.watched() as watcher:
        async with aclosing(events(watching, watcher, None)) as stream:
            assert await anext(stream) == "retry: 2000\n\n"
            for _ in range(5):
                parsed(await anext(stream))
                times.append(now())
    flooding.cancel()

    assert times == [0.0, 0.5, 1.0, 1.5, 2.0]


async def test_a_slow_reader_gets_one_event_of_all_that_has_happened_meanwhile() -> None:
    scene = working(WALL)
    watching = Watching(scene.status, scene.page._flows.last_minute)
    with scene.changes.watched() as watcher:
        async with aclosing(events(watching, watcher, watching.now(0.0))) as stream:
            await anext(stream)
            await asyncio.sleep(100)
            for _ in range(3):
                scene.launch(scene.batch(VIDEOS, "uploads", 1))
            found = parsed(await anext(stream))

    regions = found["regions"]
    assert isinstance(regions, dict)
    assert len(regions["batch-rows"]["parts"]) == 3


async def test_a_change_is_told_at_once_where_nothing_happened_before() -> None:
    scene = working(WALL)
    watching = Watching(scene.status, scene.page._flows.last_minute)
    with scene.changes.watched() as watcher:
        async with aclosing(events(watching, watcher, watching.now(0.0))) as stream:
            await anext(stream)
            told = asyncio.create_task(anext(stream))
            await asyncio.sleep(3)
            scene.launch(scene.batch(VIDEOS, "uploads", 1))
            parsed(await told)

    assert now() == 3.0


async def test_a_state_that_was_rendered_for_another_reader_just_before_is_looked_at_again() -> (
    None
):
    scene = working(WALL)
    watching = Watching(scene.status, scene.page._flows.last_minute)
    with scene.changes.watched() as watcher:
        async with aclosing(events(watching, watcher, watching.now(0.0))) as stream:
            await anext(stream)
            told = asyncio.create_task(anext(stream))
            await asyncio.sleep(3)
            watching.now(3.0)
            await asyncio.sleep(0.1)
            scene.launch(scene.batch(VIDEOS, "uploads", 1))
            parsed(await told)

    assert now() == 3.6


async def test_a_quiet_stream_is_kept_alive() -> None:
    scene = working(WALL)
    watching = Watching(scene.status, scene.page._flows.last_minute)
    with scene.changes.watched() as watcher:
        async with aclosing(events(watching, watcher, watching.now(0.0))) as stream:
            await anext(stream)
            assert await anext(stream) == ": still here\n\n"

    assert now() == 16.5


# A message that is pasted


@pytest.mark.parametrize(
    ("asked", "tone", "headline"),
    [
        pytest.param(
            Asked("uploads", "kind=image", "{}"),
            "good",
            "It takes the route image-uploads",
            id="taken",
        ),
        pytest.param(
            Asked("uploads", "kind=sound", "{}"),
            "bad",
            "Rejected, that is moved to queue rejected: unmatched",
            id="unmatched",
        ),
        pytest.param(
            Asked("uploads", "kind=image\nsize=huge", "{}"),
            "bad",
            "Rejected, that is moved to queue rejected: override_denied, by route image-uploads",
            id="override-denied",
        ),
        pytest.param(
            Asked("uploads", "", "no json"),
            "bad",
            "Rejected, that is moved to queue rejected: not_json",
            id="not-json",
        ),
        pytest.param(
            Asked("rejected", "", "{}"),
            "quiet",
            "It stays there: no route reads queue rejected",
            id="not-read",
        ),
        pytest.param(
            Asked("uploads", "kind", "{}"),
            "bad",
            "This is no message that SQS would take",
            id="no-equals",
        ),
        pytest.param(
            Asked("uploads", "", ""), "bad", "This is no message that SQS would take", id="no-body"
        ),
        pytest.param(
            Asked("elsewhere", "", "{}"),
            "bad",
            "This is no message that SQS would take",
            id="no-queue",
        ),
    ],
)
def test_where_a_message_would_go(asked: Asked, tone: str, headline: str) -> None:
    found = answer(TABLE, asked, WALL)

    assert (found.tone, found.headline) == (tone, headline)


def test_each_route_says_why_it_does_not_match() -> None:
    found = answer(TABLE, Asked("uploads", "kind=video", "{}"), WALL)

    assert found.steps == (
        Step(
            "image-uploads",
            "no",
            'attributes.kind: "video" is not "image", nor does it start with "img-"',
        ),
        Step("video-uploads", "takes it"),
    )


def test_what_the_sender_has_chosen_is_marked() -> None:
    found = answer(TABLE, Asked("uploads", "kind=image\nsize=performance-2x", "{}"), WALL)

    assert dict(found.facts)["size"] == (
        "performance-2x (chosen by the sender, instead of shared-cpu-1x)"
    )
    assert dict(found.facts)["batch"] == (
        "up to 25 events; launched when it is full, or 2.0 s after its first event and as soon as "
        "a launch slot is free"
    )


def test_an_event_that_breaks_the_schema_hears_every_problem(tmp_path: Path) -> None:
    file = tmp_path / "order.schema.json"
    file.write_text(
        '{"type": "object", "required": ["id"], "properties": {"n": {"type": "integer"}}}'
    )
    schema = compile_schema(file, Path.read_bytes).schema
    made = table(route(schema=schema))
    found = answer(made, Asked("q", "", '{"n": "x"}'), WALL)

    assert found.headline == (
        "Left on the queue, for its redrive policy to decide: schema_invalid, by route orders"
    )
    assert len(found.details) == 2
    assert found.steps == (Step("orders", "refuses it"),)


def test_of_very_many_routes_the_last_step_is_still_the_one_that_counts() -> None:
    others = (replace(VIDEOS, name=f"r{number}") for number in range(300))
    made = table(*others, IMAGES, queues=(Queue("uploads", url="u"),))
    found = answer(made, Asked("uploads", "kind=image", "{}"), WALL)

    assert (len(found.steps), found.more_steps) == (100, 201)
    assert found.steps[-1] == Step("image-uploads", "takes it")


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (b"queue=q&attributes=a%3D1%0D%0Ab%3D2&body=%7B%7D", Asked("q", "a=1\nb=2", "{}")),
        (b"", Asked()),
        (b"queue=q&body=", Asked("q")),
    ],
)
def test_a_form_as_browsers_send_it(body: bytes, asked: Asked) -> None:
    assert read_form(body) == asked


@pytest.mark.parametrize(
    "body", [b"nothing", b"what=else", b"\xff", b"body=%ff", b"&".join([b"body=1"] * 99)]
)
def test_what_is_no_form_of_the_page_is_refused(body: bytes) -> None:
    with pytest.raises(NotAForm):
        read_form(body)


# Over HTTP


def client(scene: Scene) -> httpx.AsyncClient:
    app = admin_app(Reports(None), more=scene.page.routes())  # type: ignore[arg-type]
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


async def test_before_there_is_a_table_the_page_is_there_and_no_message_is_decided_about() -> None:
    async with client(Scene(WALL)) as http:
        page = await http.get("/")
        told = await http.post("/explain", content=urlencode({"queue": "q", "body": "{}"}))

    assert "Starting" in page.text
    assert "No routing table is in use yet" in told.text


@pytest.mark.real_time
async def test_a_form_that_is_sent_without_a_script_comes_back_as_it_was_with_the_answer() -> None:
    fields = {"queue": "uploads", "attributes": "kind=image", "body": HOSTILE + "</textarea>"}
    async with client(working(WALL)) as http:
        page = await http.post("/explain", content=urlencode(fields))
    outline = Outline(page.text)

    assert "Rejected, that is moved to queue rejected: not_json" in outline.words
    assert HOSTILE + "</textarea>" in outline.words
    assert ("option", {"selected": None}) in outline.elements
    assert "img" not in outline.tags()


@pytest.mark.real_time
async def test_the_script_gets_the_answer_alone() -> None:
    fields = urlencode({"queue": "uploads", "attributes": "kind=image", "body": "{}"})
    async with client(working(WALL)) as http:
        part = await http.post("/explain", content=fields, headers={"Accept": "text/x-part"})

    assert part.text.startswith('<div class="answer is-good">')


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
    scene.changes.most = 0
    async with client(scene) as http:
        refused = await http.get("/events")

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    assert refused.text == "0 pages are open already; close some\n"
