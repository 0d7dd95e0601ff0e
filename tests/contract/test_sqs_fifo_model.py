"""
A FIFO queue under everything that senders and receivers may do to it, against a simple model.

The model is one list a group, in the order of sending. Whatever happens: a receive brings, of each
group, what stands at the front of its list and is not hidden; what was never received before is
received only when nothing of its group is in flight, so that as long as a receiver treats what it
holds of a group alike no two receivers hold messages of one group; and in the end every message
was deleted, or is still there and comes in order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from lambdo_router.core.message import Message
from lambdo_router.local.sqs_server import NewMessage, Sqs, SqsError

QUEUE = "q.fifo"
GROUPS = ("a", "b")
RECEIVERS = (0, 1)
SECONDS = st.sampled_from((0, 10, 20))


@dataclass(eq=False)
class Kept:
    """A message as the model has it."""

    id: str
    group: str
    hidden_until: float = 0.0
    holder: int | None = None
    receipt: str = ""

    def belongs_with(self, other: "Kept") -> bool:
        return (self.group, self.holder) == (other.group, other.holder)

    def in_flight(self, now: float) -> bool:
        return self.hidden_until > now


@dataclass
class Lost:
    """A receive whose answer a receiver did not get."""

    attempt: str
    messages: list[Kept]
    at: float
    untouched: bool = True


class FifoQueue(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        numbers = count(1)
        self.sqs = Sqs(new_id=lambda: f"m{next(numbers)}")
        self.now = 1_700_000_000.0
        self.sqs.create_queue(QUEUE, {"FifoQueue": "true"}, self.now)
        self.groups: dict[str, list[Kept]] = {group: [] for group in GROUPS}
        self.received: set[str] = set()
        self.split: set[str] = set()
        """Groups of which one message was hidden for another time than the rest in flight."""
        self.lost: Lost | None = None
        self.unique: Iterator[int] = count(1)

    # What happens

    @initialize()
    def send_to_all(self) -> None:
        for group in GROUPS:
            self.send(group, 5)

    @rule(group=st.sampled_from(GROUPS), number=st.integers(1, 5))
    def send(self, group: str, number: int) -> None:
        for _ in range(number):
            content = NewMessage("x", group=group, deduplication=str(next(self.unique)))
            self.groups[group].append(Kept(self.sqs.send(QUEUE, content, self.now), group))

    @rule(seconds=st.sampled_from((1, 10)))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(
        receiver=st.sampled_from(RECEIVERS),
        limit=st.sampled_from((10, 3, 1)),
        seconds=SECONDS,
        lost=st.booleans(),
    )
    def receive(self, receiver: int, limit: int, seconds: int, *, lost: bool) -> None:
        attempt = f"attempt-{next(self.unique)}"
        found = self.sqs.receive(QUEUE, limit, seconds, self.now, attempt=attempt)
        taken = self._check(found, receiver, limit)
        for kept, delivery in zip(taken, found, strict=True):
            kept.hidden_until = self.now + seconds
            kept.holder, kept.receipt = receiver, delivery.receipt
            self._touch(kept)
        self.received |= {kept.id for kept in taken}
        if lost:
            self.lost = Lost(attempt, taken, self.now)

    @rule(seconds=SECONDS)
    def ask_again_for_what_was_lost(self, seconds: int) -> None:
        lost, self.lost = self.lost, None
        if lost is None:
            return
        in_flight = [kept.in_flight(self.now) for kept in lost.messages]
        if self.now - lost.at >= 300 or not any(in_flight):
            return  # a receive like any other, if SQS allows it at all
        try:
            found = self.sqs.receive(QUEUE, 10, seconds, self.now, attempt=lost.attempt)
        except SqsError:
            assert not lost.untouched
            return
        assert lost.untouched
        assert [d.id for d in found] == [kept.id for kept in lost.messages]
        assert [d.receipt for d in found] == [kept.receipt for kept in lost.messages]
        for kept in lost.messages:
            kept.hidden_until = self.now + seconds

    @rule(data=st.data(), careless=st.booleans(), seconds=SECONDS)
    def hide_or_give_back(self, data: st.DataObject, seconds: int, *, careless: bool) -> None:
        """One message carelessly, or all that its receiver holds of the group, as it should."""
        held = self._held()
        in_flight = [kept for kept in held if kept.in_flight(self.now)]
        if not in_flight:
            return
        one = data.draw(st.sampled_from(in_flight))
        for kept in [one] if careless else [k for k in held if k.belongs_with(one)]:
            accepted = self._accepted(
                lambda receipt: self.sqs.change_visibility(QUEUE, receipt, seconds, self.now),
                kept.receipt,
            )
            assert accepted is kept.in_flight(self.now)
            if accepted:
                kept.hidden_until = self.now + seconds
                self._touch(kept)
                if careless:
                    self.split.add(kept.group)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        held = self._held()
        if not held:
            return
        kept = data.draw(st.sampled_from(held))
        accepted = self._accepted(
            lambda receipt: self.sqs.delete(QUEUE, receipt, self.now), kept.receipt
        )
        assert accepted is kept.in_flight(self.now)
        if accepted:
            self.groups[kept.group].remove(kept)
            self._touch(kept)

    def teardown(self) -> None:
        """All that was not deleted is there, and comes in order."""
        self.now += 43_200
        left: dict[str, list[str]] = {group: [] for group in GROUPS}
        while found := self.sqs.receive(QUEUE, 10, 30, self.now):
            for delivery in found:
                left[delivery.system["MessageGroupId"]].append(delivery.id)
                self.sqs.delete(QUEUE, delivery.receipt, self.now)
        assert left == {group: [k.id for k in kept] for group, kept in self.groups.items()}

    # What must hold

    def _check(self, found: list[Message], receiver: int, limit: int) -> list[Kept]:
        """Whether a receive may bring this; the messages in the model, in the same order."""
        taken: list[Kept] = []
        for group in dict.fromkeys(d.system["MessageGroupId"] for d in found):
            ids = [d.id for d in found if d.system["MessageGroupId"] == group]
            kept = self.groups[group]
            assert ids == [each.id for each in kept[: len(ids)]]
            assert not any(each.in_flight(self.now) for each in kept[: len(ids)])
            others = [each for each in kept[len(ids) :] if each.in_flight(self.now)]
            assert not others or self.received.issuperset(ids)
            if not others:
                self.split.discard(group)
            # Only who hides one message apart from its group may have to share the group.
            assert group in self.split or all(each.holder == receiver for each in others)
            taken += kept[: len(ids)]
        assert [each.id for each in taken] == [d.id for d in found]
        assert len(found) == min(limit, self._available())
        return taken

    def _available(self) -> int:
        """How many messages might be received, if there were no limit."""
        number = 0
        for kept in self.groups.values():
            for each in kept:
                if each.in_flight(self.now):
                    break
                number += 1
        return number

    def _held(self) -> list[Kept]:
        """All that was received, be its receipt good or not."""
        return [each for kept in self.groups.values() for each in kept if each.holder is not None]

    def _touch(self, kept: Kept) -> None:
        if self.lost is not None and kept in self.lost.messages:
            self.lost.untouched = False

    def _accepted(self, call: Callable[[str], None], receipt: str) -> bool:
        try:
            call(receipt)
        except SqsError:
            return False
        return True


FifoQueue.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
TestFifoQueue = FifoQueue.TestCase
