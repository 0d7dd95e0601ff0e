"""What an open page is sent: what has changed, how often, and until when."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from page_scene import IMAGES, VIDEOS, Scene, working
from scenario import WALL, now
from starlette.types import Message

from lambdo_router.admin.page.live import LivePage, TooManyReaders, event, send_events
from lambdo_router.admin.page.rendering import Renderer, patch

# What has changed


def test_a_state_that_is_the_same_again_is_rendered_once() -> None:
    scene, renderer = working(WALL), Renderer()
    before = renderer.regions(scene.status())
    after = renderer.regions(scene.status())

    assert patch(before, after) == {}
    assert after["routes"]["=audit"] is before["routes"]["=audit"]


def test_a_patch_has_the_parts_that_are_different_and_no_others() -> None:
    scene, renderer = working(WALL), Renderer()
    before = renderer.regions(scene.status())
    scene.launch(scene.batch(VIDEOS, "uploads", 1))
    found = patch(before, renderer.regions(scene.status()))

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
    first = scene.page.live.now(0.0)
    for at in range(1, 6):
        scene.ten_seconds(at)
        last = scene.page.live.now(float(at))

    assert scene.page.live.seen(last.version) is last
    assert scene.page.live.seen(first.version) is None
    sent = parsed(event(None, last))["regions"]
    assert isinstance(sent, dict)
    assert set(sent) == {name for name, region in last.regions.items() if region}


def test_a_state_serves_everybody_for_half_a_second() -> None:
    scene = working(WALL)
    first = scene.page.live.now(10.0)
    scene.ten_seconds(1)

    assert scene.page.live.now(10.4) is first
    assert scene.page.live.now(10.5) is not first


def test_there_is_a_limit_to_readers_and_who_leaves_makes_room() -> None:
    live = LivePage(working(WALL).status, most_readers=1)
    with live.reader(), pytest.raises(TooManyReaders), live.reader():
        pass
    with live.reader():
        pass


# The stream


@asynccontextmanager
async def reading(scene: Scene, *, seen: bool = True) -> AsyncIterator[AsyncGenerator[str, None]]:
    """The events for a reader who has the page open already, after the first line."""
    live = scene.page.live
    with live.reader() as changed:
        async with aclosing(live.events(changed, live.now(0.0) if seen else None)) as stream:
            assert await anext(stream) == "retry: 2000\n\n"
            yield stream


def parsed(event: str) -> dict[str, object]:
    found = re.fullmatch(r"id: (\S+)\ndata: (.+)\n\n", event)
    assert found is not None
    data: dict[str, object] = json.loads(found[2])
    return data


async def test_a_reader_is_told_at_most_twice_a_second_however_much_happens() -> None:
    scene, times = working(WALL), list[float]()

    async def flood() -> None:
        while True:
            scene.batch(IMAGES, "uploads", 1)
            await asyncio.sleep(0.01)

    flooding = asyncio.create_task(flood())
    async with reading(scene, seen=False) as stream:
        for _ in range(5):
            parsed(await anext(stream))
            times.append(now())
    flooding.cancel()

    assert times == [0.0, 0.5, 1.0, 1.5, 2.0]


async def test_a_slow_reader_gets_one_event_of_all_that_has_happened_meanwhile() -> None:
    scene = working(WALL)
    async with reading(scene) as stream:
        await asyncio.sleep(100)
        for _ in range(3):
            scene.launch(scene.batch(VIDEOS, "uploads", 1))
        regions = parsed(await anext(stream))["regions"]

    assert isinstance(regions, dict)
    assert len(regions["batch-rows"]["parts"]) == 3


@pytest.mark.parametrize(
    ("another_reader", "told_at"),
    [
        pytest.param(False, 3.0, id="at-once-where-nothing-happened-before"),
        pytest.param(True, 3.6, id="a-state-rendered-just-before-is-looked-at-again"),
    ],
)
async def test_a_change_is_told(*, another_reader: bool, told_at: float) -> None:
    scene = working(WALL)
    async with reading(scene) as stream:
        sent = asyncio.create_task(anext(stream))
        await asyncio.sleep(3)
        if another_reader:
            scene.page.live.now(3.0)
            await asyncio.sleep(0.1)
        scene.launch(scene.batch(VIDEOS, "uploads", 1))
        parsed(await sent)

    assert now() == told_at


async def test_a_quiet_stream_is_kept_alive() -> None:
    async with reading(working(WALL)) as stream:
        assert await anext(stream) == ": still here\n\n"

    assert now() == 16.5


def request_of(aborts: list[float]) -> dict[str, object]:
    return {"type": "http", "extensions": {"lambdo.cut": lambda: aborts.append(now())}}


async def nothing_more() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("an event that is never set")


async def test_a_reader_who_takes_nothing_is_cut_off_after_half_a_minute() -> None:
    scene, aborts = working(WALL), list[float]()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    with scene.page.live.reader() as changed:
        source = scene.page.live.events(changed, None)
        await send_events(request_of(aborts), nothing_more, send, source)

    assert aborts == [30.0]


async def test_a_reader_who_leaves_ends_the_stream() -> None:
    scene, aborts, sent = working(WALL), list[float](), list[Message]()

    async def receive() -> Message:
        await asyncio.sleep(7)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    with scene.page.live.reader() as changed:
        source = scene.page.live.events(changed, None)
        await send_events(request_of(aborts), receive, send, source)

    assert (now(), aborts) == (7.0, [])
    assert [message["type"] for message in sent] == [
        "http.response.start",
        "http.response.body",
        "http.response.body",
    ]
