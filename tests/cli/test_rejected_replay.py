"""Replays: what arrives, in which order and pace, and what is where when one is cut off."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from memory_queue import MemoryQueue

from lambdo_router.cli.rejected import queue_browser, replay
from lambdo_router.cli.rejected.queue_browser import QueueBrowser, browse
from lambdo_router.cli.rejected.replay import PlannedSend, Replay, ReplayTally
from lambdo_router.core.errors import QueueRefused, QueueUnavailable
from lambdo_router.core.message import Attribute, Message
from lambdo_router.core.rejection import NoTarget, Sources, read_rejected
from lambdo_router.core.settlement import REJECTION_ATTRIBUTE, Rejection
from lambdo_router.core.throttle import TokenBucket

T = TypeVar("T")
Content = tuple[str, tuple[tuple[str, Attribute], ...]]


class Place(MemoryQueue):
    """A queue that messages can be sent back to, and that does not keep a test waiting."""

    url = "memory"


def place(name: str) -> Place:
    return Place(name, wait_time=1.0)


@dataclass
class Scene:
    """A reject queue with messages on it, and the queue that they came from."""

    aside: Place = field(default_factory=lambda: place("rejected"))
    source: Place = field(default_factory=lambda: place("orders"))
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    tally: ReplayTally = field(default_factory=ReplayTally)
    agreed: bool = True
    asked: list[list[str]] = field(default_factory=list)
    browser: QueueBrowser | None = None

    def reject(self, *bodies: str, reason: Any = "unmatched", group: str | None = None) -> None:
        """Put messages on the reject queue as the router does."""
        for body in bodies:
            rejection = Rejection(reason, "", None, "orders", "o1", 1, 0.0)
            attributes = {
                "n": Attribute("Number", "1"),
                REJECTION_ATTRIBUTE: rejection.attribute(),
            }
            self.aside.put(body, attributes, group=group)

    async def select(self, message: Message) -> PlannedSend | NoTarget | None:
        """Select what has not the reason schema_invalid."""
        rejected = read_rejected(message, Sources())
        if rejected.reason == "schema_invalid":
            return None
        nowhere = rejected.reason == "too_large"
        return NoTarget("nowhere") if nowhere else PlannedSend(rejected, self.source)

    async def replay(self, **options: Any) -> ReplayTally:
        async def agree(plan: Sequence[PlannedSend]) -> bool:
            self.asked.append([planned.rejected.message.body for planned in plan])
            return self.agreed

        started = asyncio.get_running_loop().time()
        options.setdefault("select", self.select)
        async with browse(self.aside, self.stop) as self.browser:
            going = Replay(self.browser, started=started, tally=self.tally, **options)
            await going.run(agree)
        return self.tally


async def contents(queue: MemoryQueue) -> Counter[Content]:
    """All that can be received at once, without what the router had added."""
    found: Counter[Content] = Counter()
    queue.wait_time = 0.0
    while messages := await queue.receive(10, 1000):
        for message in messages:
            kept = {k: v for k, v in message.attributes.items() if k != REJECTION_ATTRIBUTE}
            found[message.body, tuple(sorted(kept.items()))] += 1
    return found


def rate(per_second: float) -> TokenBucket:
    return TokenBucket(per_second, 1, transit=0.0)


def of(*bodies: str) -> Counter[Content]:
    return Counter((body, (("n", Attribute("Number", "1")),)) for body in bodies)


def bodies(found: Counter[Content]) -> list[str]:
    return sorted(body for body, _ in found.elements())


async def order_of(queue: MemoryQueue) -> list[tuple[str, str | None]]:
    """What comes from the queue, with its group, in order; each message makes way for the next."""
    found = []
    queue.wait_time = 0.0
    while messages := await queue.receive(1, 1000):
        found += [(message.body, message.system.get("MessageGroupId")) for message in messages]
        await queue.delete([message.receipt for message in messages])
    return found


async def test_nobody_is_asked_about_nothing() -> None:
    scene = Scene()
    scene.reject("a", reason="schema_invalid")

    assert (await scene.replay()).complete
    assert scene.asked == []


async def test_messages_are_held_while_somebody_thinks_about_it() -> None:
    scene = Scene()
    scene.reject("a", "b")

    async def agree(_: Sequence[PlannedSend]) -> bool:
        await asyncio.sleep(3600)
        assert await contents(scene.aside) == Counter()
        return True

    async with browse(scene.aside, scene.stop) as browser:
        going = Replay(browser, scene.select, 0.0)
        await going.run(agree)

    assert going.tally == ReplayTally(replayed=Counter(orders=2))
    assert (browser.taken, scene.aside.empty) == (2, True)


async def test_the_bar_is_told_of_every_message() -> None:
    scene = Scene()
    scene.reject("a", "b", "c")
    told: list[tuple[int, int]] = []

    await scene.replay(progress=lambda done, planned: told.append((done, planned)))

    assert told == [(1, 3), (2, 3), (3, 3)]


# ReplayRate, rounds and limits


async def test_messages_go_at_the_pace_that_was_asked_for() -> None:
    scene = Scene()
    scene.reject("a", "b", "c")

    await scene.replay(rate=rate(0.5))

    assert [entry.at for entry in scene.source.ledger.entries] == [1.0, 3.0, 5.0]


async def test_leases_are_renewed_as_long_as_a_slow_replay_takes() -> None:
    scene = Scene()
    scene.reject(*"abcdefghij")
    margins: list[float] = []

    def progress(_done: int, _planned: int) -> None:
        assert scene.browser is not None
        held = [m for m in ids if m in scene.browser._receipts]
        margins.extend(scene.browser.margin(message_id) for message_id in held)

    ids = [entry.message_id for entry in scene.aside.ledger.entries]
    tally = await scene.replay(rate=rate(0.01), progress=progress)

    assert tally == ReplayTally(replayed=Counter(orders=10))
    assert asyncio.get_running_loop().time() == 901.0
    assert min(margins) >= queue_browser.LEASE / 2
    receives = [e for e in scene.aside.ledger.entries if e.kind == "received"]
    assert len(receives) == 10


async def test_a_message_whose_lease_ran_out_is_not_sent() -> None:
    scene = Scene()
    scene.reject("a", "b")
    scene.aside.fail("set_visibility", *[QueueUnavailable("away")] * 1000)

    tally = await scene.replay(rate=rate(1 / 100))

    assert tally.replayed == Counter(orders=1)
    assert [why for _, why in tally.failed] == [
        "not sent: its lease was lost, so other consumers may have it"
    ]
    assert bodies(await contents(scene.source)) == ["a"]
    await asyncio.sleep(queue_browser.LEASE)
    assert bodies(await contents(scene.aside)) == ["b"]


@pytest.mark.parametrize("most", [1, 2, 12])
async def test_a_limit_is_one_of_messages_that_are_sent(most: int) -> None:
    scene = Scene()
    scene.reject("x", reason="schema_invalid")
    scene.reject(*(f"{n:02}" for n in range(15)))

    tally = await scene.replay(most=most)

    assert (tally.replayed.total(), tally.complete) == (most, True)
    assert bodies(await contents(scene.source)) == [f"{n:02}" for n in range(most)]
    left = ["x", *(f"{n:02}" for n in range(most, 15))]
    assert bodies(await contents(scene.aside)) == sorted(left)


@pytest.mark.parametrize("limit", ["MOST_PLANNED", "MOST_BYTES"])
async def test_what_is_too_much_to_hold_at_once_goes_round_by_round(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, limit, 10)
    scene = Scene()
    originals = [f"{n:02}" for n in range(35)]
    scene.reject(*originals)

    tally = await scene.replay()

    assert (tally, scene.aside.empty) == (ReplayTally(replayed=Counter(orders=35)), True)
    assert len(scene.asked) == 1
    assert await contents(scene.source) == of(*originals)


async def test_what_is_rejected_again_does_not_go_round_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay, "MOST_PLANNED", 1)
    scene = Scene()
    scene.reject(*"abcdefghijklmno")

    async def slowly(message: Message) -> PlannedSend | NoTarget | None:
        await asyncio.sleep(0.1)
        return await scene.select(message)

    def progress(_done: int, _planned: int) -> None:
        scene.reject("again")

    await asyncio.sleep(1)
    tally = await scene.replay(select=slowly, progress=progress, rate=rate(1.0))

    assert tally == ReplayTally(replayed=Counter(orders=15), arrived=15)
    assert bodies(await contents(scene.aside)) == ["again"] * 15


async def test_more_messages_than_can_be_held_are_not_passed_over_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue_browser, "MOST_HELD", 10)
    scene = Scene()
    scene.reject(*"abcdefghij", reason="schema_invalid")
    scene.reject("k")

    tally = await scene.replay()

    assert tally == ReplayTally(others=10, stopped="not all messages of the queue were read")


# What goes wrong


async def test_what_sqs_refuses_stays_and_the_others_go() -> None:
    scene = Scene()
    scene.reject("a", "b", "c")
    scene.source.fail("send", QueueRefused("too long"))

    tally = await scene.replay()

    assert [why for _, why in tally.failed] == ["too long"]
    assert (tally.replayed.total(), tally.stopped) == (2, "")
    assert bodies(await contents(scene.aside)) == ["a"]


async def test_after_five_failures_in_a_row_the_rest_is_not_tried() -> None:
    scene = Scene()
    scene.reject(*"abcdefgh")
    scene.source.fail("send", *[QueueRefused("no rights")] * 8)

    tally = await scene.replay()

    assert len(tally.failed) == 5
    assert tally.stopped == "5 messages in a row failed"
    assert bodies(await contents(scene.aside)) == [*"abcdefgh"]


async def test_when_the_queue_can_be_read_no_more_what_was_done_is_known() -> None:
    scene = Scene()
    scene.reject("a")
    scene.aside.fail("receive", *[QueueUnavailable("away")] * queue_browser.TRIES)

    with pytest.raises(QueueUnavailable, match="away"):
        await scene.replay()

    assert scene.tally == ReplayTally()
    assert bodies(await contents(scene.aside)) == ["a"]


# Being cut off


class Cutting(Place):
    """A queue whose calls, counted together with those of others, cut the replay off."""

    calls: list[int]
    """How many calls are left before it happens."""
    cuts: list[Any]
    """What then happens."""
    after: bool
    """Whether the call has its effect first."""

    async def receive(self, limit: int, visibility: float) -> Sequence[Message]:
        return await self._counted(lambda: super(Cutting, self).receive(limit, visibility))

    async def delete(self, receipts: Sequence[str]) -> Mapping[str, str]:
        return await self._counted(lambda: super(Cutting, self).delete(receipts))

    async def send(self, body: str, attributes: Mapping[str, Attribute], **more: Any) -> str:
        return await self._counted(lambda: super(Cutting, self).send(body, attributes, **more))

    async def _counted(self, call: Callable[[], Awaitable[T]]) -> T:
        self._count(before=True)
        await asyncio.sleep(0)
        answer = await call()
        self._count(before=False)
        await asyncio.sleep(0)
        return answer

    def _count(self, *, before: bool) -> None:
        if before is self.after:
            return
        self.calls[0] -= 1
        if self.calls[0] == 0:
            self.cuts[0]()


def cutting_scene(at: int, *, after: bool) -> tuple[Scene, list[Any]]:
    """A scene that is cut off at a call; how is said later, by the list."""
    calls, cuts = [at], list[Any]()
    aside, source = Cutting("rejected", wait_time=1.0), Cutting("orders", wait_time=1.0)
    for queue in (aside, source):
        queue.calls, queue.after, queue.cuts = calls, after, cuts
    return Scene(aside, source), cuts


_ORIGINALS = ("a", "b", "c", "c")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 13))
async def test_a_replay_that_is_cut_off_anywhere_leaves_one_message_twice_at_most(
    at: int, *, after: bool
) -> None:
    scene, cuts = cutting_scene(at, after=after)
    scene.reject(*_ORIGINALS)
    task = asyncio.create_task(scene.replay())
    cuts.append(task.cancel)

    await asyncio.wait([task])
    if at == 1:  # nobody knows of what the poll has taken, and so nobody gives it back
        await asyncio.sleep(queue_browser.LEASE)

    here, there = await contents(scene.aside), await contents(scene.source)
    twice = here + there - of(*_ORIGINALS)
    assert of(*_ORIGINALS) - here - there == Counter()
    assert twice.total() <= 1
    assert task.cancelled() is (at <= 10)  # two polls, then four sends and four deletes
    assert scene.tally.under_way is not None or not twice


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 11))
async def test_a_replay_that_is_told_to_stop_ends_between_two_messages(
    at: int, *, after: bool
) -> None:
    scene, cuts = cutting_scene(at, after=after)
    scene.reject(*_ORIGINALS)
    cuts.append(scene.stop.set)

    tally = await scene.replay()

    here, there = await contents(scene.aside), await contents(scene.source)
    assert here + there == of(*_ORIGINALS)
    assert (tally.under_way, tally.both) == (None, [])
    assert tally.stopped == "interrupted"
    assert tally.replayed.total() == there.total()


async def test_a_stop_ends_the_wait_for_the_next_turn() -> None:
    scene = Scene()
    scene.reject("a", "b")
    asyncio.get_running_loop().call_later(10.0, scene.stop.set)

    tally = await scene.replay(rate=rate(0.001))

    assert asyncio.get_running_loop().time() == 10.0
    assert (tally.replayed.total(), tally.stopped) == (1, "interrupted")
    assert bodies(await contents(scene.aside)) == ["b"]


async def test_a_stop_while_somebody_is_asked_declines_nothing() -> None:
    scene = Scene()
    scene.reject("a")

    async def agree(_: Sequence[PlannedSend]) -> bool:
        scene.stop.set()
        return False

    async with browse(scene.aside, scene.stop) as browser:
        going = Replay(browser, scene.select, 0.0)
        await going.run(agree)

    assert going.tally == ReplayTally(stopped="interrupted")


# FIFO queues


async def test_in_a_group_nothing_overtakes_a_message_that_could_not_be_sent() -> None:
    scene = Scene(place("rejected.fifo"), place("orders.fifo"))
    scene.reject("a1", "a2", group="a")
    scene.reject("b1", "b2", group="b")
    scene.source.fail("send", QueueRefused("no"))

    tally = await scene.replay()

    assert tally.skipped == Counter({"an earlier message of its group could not be sent": 1})
    assert await order_of(scene.source) == [("b1", "b"), ("b2", "b")]
    assert await order_of(scene.aside) == [("a1", "a"), ("a2", "a")]


async def test_a_fifo_queue_gets_a_message_once_though_the_answer_was_lost() -> None:
    scene = Scene(place("rejected.fifo"), place("orders.fifo"))
    scene.reject("a1", "a2", group="a")
    scene.source.fail("send", QueueUnavailable("lost"), after_effect=True)

    tally = await scene.replay()

    assert tally == ReplayTally(replayed=Counter({"orders.fifo": 2}))
    assert await order_of(scene.source) == [("a1", "a"), ("a2", "a")]


@pytest.fixture
def throttling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no failed send reach the queue, and pauses without jitter."""
    monkeypatch.setattr(replay, "may_have_happened", lambda _: False)
    monkeypatch.setattr(random, "random", lambda: 1.0)


@pytest.mark.usefixtures("throttling")
@pytest.mark.parametrize(
    ("pauses", "stop_at", "sent_at", "failed", "ended_at"),
    [
        pytest.param([0.0, 30.0], 600.0, [1.0 + 1.0 + 30.0], [], 32.0, id="sent-in-the-end"),
        pytest.param([0.0] * queue_browser.TRIES, 600.0, [], ["throttled"], 8.0, id="for-good"),
        pytest.param([600.0], 10.0, [], ["throttled"], 10.0, id="until-a-stop"),
    ],
)
async def test_a_throttled_send_is_tried_again(
    pauses: list[float], stop_at: float, sent_at: list[float], failed: list[str], ended_at: float
) -> None:
    scene = Scene()
    scene.reject("a")
    scene.source.fail("send", *[QueueUnavailable("throttled", retry_after=p) for p in pauses])
    asyncio.get_running_loop().call_later(stop_at, scene.stop.set)

    tally = await scene.replay()

    assert asyncio.get_running_loop().time() == ended_at
    assert [entry.at for entry in scene.source.ledger.entries] == sent_at
    assert ([why for _, why in tally.failed], tally.both) == (failed, [])
    assert bodies(await contents(scene.aside)) == ([] if sent_at else ["a"])


async def test_one_lost_answer_is_enough_for_a_message_to_be_on_both_queues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay, "may_have_happened", lambda error: str(error) == "lost")
    scene = Scene(place("rejected.fifo"), place("orders.fifo"))
    scene.reject("a1", group="a")
    scene.source.fail("send", QueueUnavailable("lost"), after_effect=True)
    scene.source.fail("send", *[QueueUnavailable("throttled")] * 3)

    tally = await scene.replay()

    assert [why for _, why in tally.both] == ["it may have been sent: throttled"]
    assert tally.failed == []


async def test_a_second_replay_completes_the_first_without_a_duplicate() -> None:
    scene = Scene(place("rejected.fifo"), place("orders.fifo"))
    scene.reject("a1", group="a")
    scene.aside.fail("delete", QueueRefused("no rights, for the moment"))
    assert len((await scene.replay()).both) == 1
    await asyncio.sleep(queue_browser.LEASE)
    scene.tally = ReplayTally()

    tally = await scene.replay()

    assert (tally.replayed.total(), scene.aside.empty) == (1, True)
    assert await order_of(scene.source) == [("a1", "a")]


@pytest.mark.parametrize(
    ("aside", "source", "group", "shared"),
    [
        pytest.param("rejected", "orders.fifo", None, False, id="a-group-of-its-own"),
        pytest.param("rejected.fifo", "orders", "a", True, id="a-label-on-a-standard-queue"),
    ],
)
async def test_between_kinds_of_queues_a_message_has_a_group(
    aside: str, source: str, group: str | None, *, shared: bool
) -> None:
    scene = Scene(place(aside), place(source))
    scene.reject("1", "2", group=group)

    await scene.replay()

    (_, first), (_, second) = await order_of(scene.source)
    assert None not in (first, second)
    assert (first == second) is shared
    assert group in (first, None)


# Rehearsals


@pytest.mark.parametrize(
    ("most", "stopped", "told"),
    [
        pytest.param(None, "", [f"{n:02}" for n in range(25)], id="all"),
        pytest.param(2, "", ["00", "01"], id="a-limit"),
        pytest.param(None, "interrupted", [], id="interrupted"),
    ],
)
async def test_a_rehearsal_says_everything_and_sends_nothing(
    monkeypatch: pytest.MonkeyPatch, most: int | None, stopped: str, told: list[str]
) -> None:
    monkeypatch.setattr(replay, "MOST_PLANNED", 10)
    scene = Scene()
    scene.reject(*(f"{n:02}" for n in range(25)))
    scene.reject("x", reason="too_large")
    if stopped:
        scene.stop.set()
    said: list[str] = []

    async with browse(scene.aside, scene.stop) as browser:
        going = Replay(browser, scene.select, 0.0, most)
        await going.rehearse(lambda planned: said.append(planned.rejected.message.body))

    assert said == told
    assert going.tally == ReplayTally(
        replayed=Counter({"orders": len(told)} if told else {}),
        skipped=Counter(nowhere=1) if len(told) == 25 else Counter(),
        stopped=stopped,
    )
    assert scene.source.empty
    assert len(bodies(await contents(scene.aside))) == 26
