from dataclasses import replace

import pytest
from building import entry, key
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.core.batch import Batcher, BatchKey, Entry
from lambdo_router.core.machine import fits


def batcher(room: int = 10**9) -> Batcher:
    return Batcher(lambda _: room)


def ids_of(batches: Batcher, of: BatchKey) -> tuple[str, ...]:
    batch = batches.take(of)
    assert batch is not None
    return batch.message_ids


def test_a_batch_is_ripe_when_its_window_has_passed() -> None:
    batches, slow = batcher(), key(batch_window=2.0)
    batches.add(slow, entry("a"), 10.0)
    batches.add(slow, entry("b"), 11.0)

    assert batches.due_at(slow) == 12.0


def test_a_full_batch_is_ripe_at_once() -> None:
    batches, small = batcher(), key(batch_size=2, batch_window=60.0)
    batches.add(small, entry("a"), 10.0)
    assert batches.due_at(small) == 70.0

    batches.add(small, entry("b"), 11.0)
    assert batches.due_at(small) == 10.0


@pytest.mark.parametrize(
    ("more_until", "due"),
    [
        pytest.param(0.0, 10.0, id="nothing-is-expected"),
        pytest.param(10.1, 10.1, id="more-comes-at-once"),
        pytest.param(99.0, 11.0, id="more-comes-for-long"),
    ],
)
def test_a_batch_waits_for_what_the_queue_is_about_to_bring_for_a_second_at_most(
    more_until: float, due: float
) -> None:
    batches, eager = batcher(), key(batch_size=2)
    batches.add(eager, entry("a"), 10.0)
    assert batches.due_at(eager, more_until) == due

    batches.add(eager, entry("b"), 10.0)
    assert batches.due_at(eager, more_until) == 10.0


def test_a_batch_with_a_window_that_is_longer_does_not_wait_beyond_it() -> None:
    batches, slow = batcher(), key(batch_window=2.0)
    batches.add(slow, entry("a"), 10.0)

    assert batches.due_at(slow, 99.0) == 12.0


def test_a_ripe_batch_goes_on_taking_events_until_it_is_taken() -> None:
    batches, eager = batcher(), key(batch_window=0.0)
    batches.add(eager, entry("a"), 0.0)
    batches.add(eager, entry("b"), 5.0)

    assert ids_of(batches, eager) == ("a", "b")
    assert batches.due_at(eager) is None


def test_what_does_not_fit_opens_a_second_batch_behind_the_full_first() -> None:
    batches, small = batcher(), key(batch_size=2, batch_window=60.0)
    for name in "abc":
        batches.add(small, entry(name), 0.0)

    assert ids_of(batches, small) == ("a", "b")
    assert batches.due_at(small) == 60.0
    assert ids_of(batches, small) == ("c",)


def test_bytes_are_counted_with_the_commas_between_events() -> None:
    batches, tight = batcher(), key(batch_bytes=20)
    batches.add(tight, entry("a", '{"a":12}'), 0.0)
    batches.add(tight, entry("b", '{"a":345}'), 0.0)
    batches.add(tight, entry("c", '{"a":1}'), 0.0)

    assert ids_of(batches, tight) == ("a", "b")
    assert ids_of(batches, tight) == ("c",)


def test_the_room_in_the_request_closes_a_batch_too() -> None:
    one = entry("a")
    batches, plain = batcher(room=one.rendered_bytes * 2 - 1), key()
    batches.add(plain, one, 0.0)
    batches.add(plain, entry("b"), 0.0)

    assert ids_of(batches, plain) == ("a",)


def test_an_event_fits_within_both_limits() -> None:
    one = entry("a", '{"a":1}')
    assert fits(key(batch_bytes=7), one)
    assert not fits(key(batch_bytes=6), one)
    assert not fits(key(batch_bytes=10**9), replace(one, rendered_bytes=900_000))


def test_a_dropped_event_leaves_no_trace() -> None:
    batches, plain = batcher(), key()
    batches.add(plain, entry("a"), 0.0)

    assert batches.drop("a")
    assert not batches.drop("a")
    assert batches.take(plain) is None
    assert len(batches) == 0


def test_profiles_that_differ_by_an_override_never_share_a_batch() -> None:
    batches, one, other = batcher(), key(), key(image="registry.fly.io/jobs:2")
    batches.add(one, entry("a"), 0.0)
    batches.add(other, entry("b"), 0.0)

    assert ids_of(batches, one) == ("a",)
    assert ids_of(batches, other) == ("b",)


@given(
    sizes=st.lists(st.integers(0, 60), max_size=60),
    batch_size=st.integers(1, 7),
    batch_bytes=st.integers(30, 120),
    dropped=st.sets(st.integers(0, 59)),
    taken_after=st.sets(st.integers(0, 59)),
)
def test_every_event_leaves_once_in_order_and_within_the_limits(
    sizes: list[int], batch_size: int, batch_bytes: int, dropped: set[int], taken_after: set[int]
) -> None:
    batches = batcher()
    of = key(batch_size=batch_size, batch_bytes=batch_bytes)
    added: list[str] = []
    left: list[str] = []

    def note(entries: tuple[Entry, ...]) -> None:
        assert 1 <= len(entries) <= batch_size
        assert sum(e.raw_bytes for e in entries) + len(entries) - 1 <= batch_bytes
        left.extend(e.message.id for e in entries)

    for number, size in enumerate(sizes):
        name = str(number)
        one = entry(name, '"' + "x" * size + '"')
        assert fits(of, one) == (size + 2 <= batch_bytes)
        if fits(of, one):
            batches.add(of, one, float(number))
            added.append(name)
            if number in dropped and batches.drop(name):
                added.remove(name)
        if number in taken_after and (batch := batches.take(of)) is not None:
            note(batch.entries)
    for batch in batches.drain():
        note(batch.entries)

    assert left == added
    assert len(batches) == 0
    assert batches.due_at(of) is None
