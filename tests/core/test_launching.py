import base64
import json
import re

import pytest
from building import entry, key, message, profile, route, text
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.core.batch import Batch, BatchKey
from lambdo_router.core.machine import (
    REQUEST_LIMIT,
    entry_of,
    machine_name,
    machine_request,
    room_for_entries,
)
from lambdo_router.core.machine_metadata import message_digest
from lambdo_router.core.message import Attribute, Event
from lambdo_router.core.throttle import TokenBucket
from lambdo_router.core.trace_context import TraceContext


def decoded(files: list[dict[str, str]], path: str) -> str:
    (content,) = (f["raw_value"] for f in files if f["guest_path"] == path)
    return base64.b64decode(content).decode()


def test_the_request_is_all_that_fly_needs() -> None:
    of = key(region="iad,us,any", command=("node", "x.js"), env=(("LOG_LEVEL", "info"),))
    request = machine_request(
        Batch(of, (entry("m1", '{"n": 1.10}'),)), generation="g1", deadline=1700000899.5
    )

    body = json.loads(request.body)
    files = body["config"].pop("files")
    assert body == {
        "name": request.name,
        "region": "iad,us,any",
        "skip_service_registration": True,
        "config": {
            "image": "registry.fly.io/jobs:1",
            "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256},
            "init": {"cmd": ["node", "x.js"]},
            "env": {
                "LOG_LEVEL": "info",
                "EVENTS_PATH": "/tmp/events.json",
                "LAMBDO_BATCH_PATH": "/tmp/batch.json",
                "LAMBDO_ROUTE": "orders",
                "LAMBDO_QUEUE": "q",
                "LAMBDO_BATCH_ID": request.batch_id,
                "LAMBDO_EVENT_COUNT": "1",
                "LAMBDO_DEADLINE": "1700000900",
            },
            "metadata": {
                "lambdo_router": "1",
                "lambdo_route": "orders",
                "lambdo_queue": "q",
                "lambdo_batch": request.batch_id,
                "lambdo_generation": "g1",
                "lambdo_profile": "worker",
                "lambdo_acknowledge": "launch",
                "lambdo_deadline": "1700000900",
                "lambdo_messages": message_digest("m1"),
            },
            "auto_destroy": True,
            "restart": {"policy": "no"},
        },
    }
    assert decoded(files, "/tmp/events.json") == '[{"n": 1.10}]'
    assert json.loads(decoded(files, "/tmp/batch.json")) == {
        "batch_id": request.batch_id,
        "route": "orders",
        "queue": "q",
        "generation": "g1",
        "messages": [
            {
                "message_id": "m1",
                "receive_count": 1,
                "sent_at": 1700000000.123,
                "attributes": {},
                "system": {"ApproximateReceiveCount": "1", "SentTimestamp": "1700000000123"},
            }
        ],
    }


def test_whoever_the_image_runs_as_can_read_the_files() -> None:
    request = machine_request(Batch(key(), (entry("m1", "{}"),)), generation="g1", deadline=1.0)
    files = json.loads(request.body)["config"]["files"]
    assert {file["guest_path"]: file["mode"] for file in files} == {
        "/tmp/events.json": 0o644,
        "/tmp/batch.json": 0o644,
    }


def test_events_reach_the_machine_as_their_senders_wrote_them() -> None:
    bodies = ['{"b":1e400, "a" : 1.10}', '{"é":"\\u0041"}', '{"big":123456789012345678901}']
    entries = tuple(entry(str(n), body) for n, body in enumerate(bodies))
    files = json.loads(machine_request(Batch(key(), entries), generation="g").body)["config"][
        "files"
    ]

    assert decoded(files, "/tmp/events.json") == "[" + ",".join(bodies) + "]"


def test_the_machine_mapping_is_merged_and_cannot_replace_what_the_router_sets() -> None:
    extra = {
        "mounts": [{"volume": "vol_1", "path": "/data"}],
        "init": {"swap_size_mb": 512},
        "env": {"A": "1"},
        "metadata": {"team": "x", "lambdo_batch": "forged"},
        "files": [{"guest_path": "/etc/x", "raw_value": "eA=="}],
        "auto_destroy": False,
        "restart": {"policy": "always"},
    }
    of = key(machine=json.dumps(extra), command=("run",))
    request = machine_request(Batch(of, (entry(),)), generation="g")

    config = json.loads(request.body)["config"]
    assert config["mounts"] == extra["mounts"]
    assert config["init"] == {"swap_size_mb": 512, "cmd": ["run"]}
    assert config["env"]["A"] == "1"
    assert config["metadata"]["team"] == "x"
    assert config["metadata"]["lambdo_batch"] == request.batch_id
    assert config["files"][0]["guest_path"] == "/etc/x"
    assert len(config["files"]) == 3
    assert config["auto_destroy"] is True
    assert config["restart"] == {"policy": "no"}


def test_without_a_command_the_image_decides() -> None:
    body = json.loads(machine_request(Batch(key(), (entry(),)), generation="g").body)
    assert "init" not in body["config"]
    assert "region" not in body


def test_the_same_messages_give_the_same_name_and_a_later_delivery_another_batch_id() -> None:
    first = machine_request(Batch(key(), (entry("a"), entry("b"))), generation="g")
    turned = machine_request(Batch(key(), (entry("b"), entry("a"))), generation="h")
    later = machine_request(Batch(key(), (entry("a"), entry("b", receives=2))), generation="g")

    assert (turned.name, turned.batch_id) == (first.name, first.batch_id)
    assert later.name == first.name
    assert later.batch_id != first.batch_id


@given(st.text(min_size=1), st.lists(st.text(), min_size=1))
def test_a_machine_name_is_one_that_fly_takes(name: str, ids: list[str]) -> None:
    made = machine_name(name, tuple(ids))
    assert re.fullmatch(r"lambdo-[a-z0-9-]*[a-z0-9]", made)
    assert len(made) <= 63


def test_a_message_digest_is_eleven_characters() -> None:
    assert message_digest("059f36b4-87a3-44ab-83d2-661975830a7d") == message_digest(
        "059f36b4-87a3-44ab-83d2-661975830a7d"
    )
    assert re.fullmatch(r"[A-Za-z0-9_-]{11}", message_digest("m1"))


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([TRACE], TRACE, id="one"),
        pytest.param([TRACE, TRACE], TRACE, id="the-same-for-all"),
        pytest.param([TRACE, TRACE.replace("4", "5")], None, id="several"),
        pytest.param([TRACE, None], None, id="not-all"),
        pytest.param(["x\nLD_PRELOAD=y"], None, id="hostile"),
        pytest.param([None], None, id="none"),
    ],
)
def test_a_trace_is_handed_on_when_all_messages_of_the_batch_carry_it(
    values: list[str | None], expected: str | None
) -> None:
    entries = []
    for number, value in enumerate(values):
        attributes: dict[str, Attribute] = {} if value is None else {"traceparent": text(value)}
        made = message(str(number), attributes=attributes)
        entries.append(entry_of(made, Event("{}", {}, attributes)))
    body = json.loads(machine_request(Batch(key(), tuple(entries)), generation="g").body)

    assert body["config"]["env"].get("TRACEPARENT") == expected
    assert "TRACESTATE" not in body["config"]["env"]


def test_x_rays_header_is_handed_on_in_the_spelling_of_w3c() -> None:
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    made = entry_of(message(system={"AWSTraceHeader": header}), Event("{}", {}, {}))
    body = json.loads(machine_request(Batch(key(), (made,)), generation="g").body)

    parent = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
    assert body["config"]["env"]["TRACEPARENT"] == parent


def test_a_trace_of_the_router_goes_before_those_of_the_messages() -> None:
    attributes = {"traceparent": text(TRACE)}
    made = entry_of(message(attributes=attributes), Event("{}", {}, attributes))
    own = TraceContext("a" * 32, "b" * 16, "01", "vendor=1")
    request = machine_request(Batch(key(), (made,)), generation="g", trace=own)
    environment = json.loads(request.body)["config"]["env"]

    assert environment["TRACEPARENT"] == own.parent
    assert environment["TRACESTATE"] == "vendor=1"


@given(
    st.lists(
        st.tuples(
            st.text(max_size=200),
            st.dictionaries(
                st.text(max_size=10), st.one_of(st.text(max_size=50), st.binary(max_size=50))
            ),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_no_event_takes_more_of_the_request_than_its_entry_says(
    events: list[tuple[str, dict[str, str | bytes]]],
) -> None:
    entries = []
    for number, (body, values) in enumerate(events):
        attributes = {
            name: Attribute("Binary" if isinstance(v, bytes) else "String", v)
            for name, v in values.items()
        }
        written = json.dumps({"body": body})
        made = message(f"message-{number}", written, attributes=attributes)
        entries.append(entry_of(made, Event(written, {}, attributes)))
    of = key(batch_size=len(events))
    request = machine_request(Batch(of, tuple(entries)), generation="0" * 12)

    room_used = sum(made.rendered_bytes for made in entries)
    assert len(request.body) <= REQUEST_LIMIT - room_for_entries(of) + room_used


def test_a_long_command_leaves_less_room() -> None:
    plain, long = key(), profile(command=("x" * 10_000,))
    assert room_for_entries(BatchKey("q", route(), long)) <= room_for_entries(plain) - 10_000


def test_the_burst_is_free_and_the_rest_queue_up() -> None:
    budget = TokenBucket(rate=1.0, burst=3)
    for _ in range(3):
        assert budget.wait(10.0) == 0.0
        budget.take(10.0)
    assert budget.wait(10.0) == 1.25  # the first may be on its way for a quarter of a second
    assert budget.wait(10.5) == 0.75
    assert budget.wait(11.25) == 0.0
    budget.take(11.25)
    assert budget.wait(11.25) == 1.0


def test_idle_time_saves_up_no_more_than_the_burst() -> None:
    budget = TokenBucket(rate=1.0, burst=2)
    for _ in range(2):
        budget.take(1000.0)
    assert budget.wait(1000.0) == 1.25


def test_a_pause_closes_the_budget_and_a_slot_given_back_is_there_again() -> None:
    budget = TokenBucket(rate=1.0, burst=1)
    budget.pause(8.0)
    assert budget.wait(5.0) == 3.0
    budget.take(8.0)
    budget.release()
    assert budget.wait(8.0) == 0.0


def test_turns_reserved_ahead_are_even_and_a_pause_saves_none_up() -> None:
    budget = TokenBucket(rate=2.0, burst=1, transit=0.0)

    def reserve(now: float) -> float:
        wait = budget.wait(now)
        budget.take(now + wait)
        return wait

    assert [reserve(10.0), reserve(10.0), reserve(10.25)] == [0.0, 0.5, 0.75]
    assert [reserve(20.0), reserve(20.0)] == [0.0, 0.5]


@given(
    st.lists(st.floats(0.0, 3.0), max_size=50), st.sampled_from([0.5, 1.0, 4.0]), st.integers(1, 5)
)
def test_no_window_sees_more_launches_than_the_budget(
    gaps: list[float], rate: float, burst: int
) -> None:
    budget = TokenBucket(rate, burst)
    now, launches = 0.0, []
    for gap in gaps:
        now += gap
        now += budget.wait(now)
        budget.take(now)
        launches.append(now)
    for start, first in enumerate(launches):
        for end in range(start, len(launches)):
            allowed = burst + (launches[end] - first) * rate
            assert end - start + 1 <= allowed + 1e-6
