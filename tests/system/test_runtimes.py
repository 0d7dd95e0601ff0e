"""
The three runtimes keep one contract (docs/runtimes.md), as real processes.

The handler of each language, in runtime_handlers/, does what each event says: `print`, `throw`,
`wait` for a file, and so on. A language whose interpreter is not on this machine is skipped.
"""

import asyncio
import base64
import json
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from runtime_process import (
    LANGUAGES,
    Answer,
    Batch,
    Ended,
    Language,
    ended,
    message_id,
    messages_of,
    router,
)

from lambdo_router.admin import admin_app
from lambdo_router.admin.serving import serve
from lambdo_router.core.machine_metadata import message_digest
from lambdo_router.core.message import Message, read_event
from lambdo_router.core.strict_json import MAX_DEPTH, MAX_DIGITS
from lambdo_router.engine.failure_reports import FailureReports


@pytest.fixture(params=LANGUAGES, ids=lambda language: language.name)
def language(request: pytest.FixtureRequest) -> Language:
    found: Language = request.param
    if not found.is_here:
        pytest.skip(f"there is no `{found.interpreter}` on this machine")
    return found


def printing(*texts: str) -> list[dict[str, object]]:
    return [{"do": "print", "text": text} for text in texts]


def throwing(text: str = "oops") -> dict[str, object]:
    return {"do": "throw", "text": text}


# Outcomes


def test_every_event_is_handled_in_order_and_has_a_line(language: Language, tmp_path: Path) -> None:
    run = Batch(language, tmp_path, printing("a", "b", "c")).run()

    assert (run.exit_code, run.stderr, run.errors) == (0, "", [])
    assert run.printed == ["a", "b", "c"]
    assert run.outcomes == {0: "done", 1: "done", 2: "done"}
    # The line about an event comes after what its handler printed.
    assert [line[:1] for line in run.stdout.splitlines()] == ["a", "{", "b", "{", "c", "{", "{"]


def test_a_line_says_which_event_it_was_and_how_it_ended(
    language: Language, tmp_path: Path
) -> None:
    run = Batch(language, tmp_path, [*printing("a"), throwing("no such key")]).run()

    done, ended_, failed = run.logged[0], run.logged[-1], run.logged[1]
    assert list(done) == [
        *("time", "level", "message", "outcome", "ms", "index", "message_id", "receive_count"),
        *("route", "batch_id"),
    ]
    assert (done["level"], done["message"], done["outcome"]) == ("info", "event done", "done")
    assert (done["message_id"], done["receive_count"]) == (message_id(0), 1)
    assert (done["route"], done["batch_id"]) == ("orders", "b1")
    assert 0 <= done["ms"] < 10_000
    assert (failed["level"], failed["message"]) == ("error", "event failed")
    assert "no such key" in failed["error"]
    assert language.handler in failed["error"]
    assert {"events": 2, "failed": 1, "retried": 2, "exit_code": 1}.items() <= ended_.items()


def test_a_throw_fails_its_event_and_the_others_go_on(language: Language, tmp_path: Path) -> None:
    events = [*printing("a"), throwing("oops"), *printing("c"), {"do": "reject", "text": "no"}]
    with router(200) as there:
        run = Batch(language, tmp_path, events, env=there.env).run()

    assert run.printed == ["a", "c"]
    assert run.outcomes == {0: "done", 1: "failed", 2: "done", 3: "failed"}
    assert "oops" in run.error(1)
    assert "no" in run.error(3)
    assert there.failed == [[message_id(1), message_id(3)]]
    assert run.exit_code == 0


def test_nothing_is_reported_if_nothing_failed(language: Language, tmp_path: Path) -> None:
    with router(500) as there:
        run = Batch(language, tmp_path, printing("a"), env=there.env).run()

    assert (run.exit_code, there.reports) == (0, [])


@pytest.mark.parametrize("code", [0, 7])
def test_an_exit_takes_no_event_for_done_that_is_not(
    language: Language, tmp_path: Path, code: int
) -> None:
    events = [*printing("a"), {"do": "exit", "code": code}, *printing("c")]
    with router(200) as there:
        run = Batch(language, tmp_path, events, env=there.env).run()

    # Python's sys.exit is an exception as any other. Where a process really ends the rest is lost.
    goes_on = language.name == "python"
    assert run.printed == (["a", "c"] if goes_on else ["a"])
    assert run.outcomes == {0: "done", 1: "failed", 2: "done" if goes_on else "failed"}
    assert there.failed == [[message_id(1)] if goes_on else [message_id(1), message_id(2)]]
    assert run.exit_code == 0


@pytest.mark.parametrize("answer", [None, 404], ids=["no-router", "refused"])
def test_an_exit_that_cannot_be_reported_fails_the_batch(
    language: Language, tmp_path: Path, answer: Answer | None
) -> None:
    with router(answer or 200) as there:
        env = there.env if answer else {}
        run = Batch(language, tmp_path, [{"do": "exit", "code": 0}], env=env).run()

    assert run.exit_code == 1


def test_what_cannot_be_reported_fails_the_batch(language: Language, tmp_path: Path) -> None:
    with router(200) as there:
        events = [*printing("a"), throwing()]
        nobody_asks = Batch(language, tmp_path, events).run()
        no_ids = Batch(language, tmp_path, events, messages=None, env=there.env)
        (tmp_path / "batch.json").unlink()
        unknown = no_ids.run()

    assert (nobody_asks.exit_code, unknown.exit_code) == (1, 1)
    assert nobody_asks.outcomes == unknown.outcomes == {0: "done", 1: "failed"}
    assert there.reports == []


# The report


@pytest.mark.parametrize(
    ("answers", "attempts", "exit_code"),
    [
        pytest.param([200], 1, 0, id="accepted"),
        pytest.param(["cut", 503, 200], 3, 0, id="lost-and-busy"),
        pytest.param([500, 429, 502, 200], 4, 0, id="last-attempt"),
        pytest.param(["cut", 503], 4, 1, id="busy-for-ever"),
        pytest.param([401], 1, 1, id="wrong-token"),
        pytest.param([404], 1, 1, id="unknown-batch"),
        pytest.param([409], 1, 1, id="reported-otherwise"),
        pytest.param([307], 1, 1, id="sent-elsewhere"),
        pytest.param([204], 1, 1, id="accepted-by-somebody-else"),
    ],
)
def test_only_an_accepted_report_ends_well(
    language: Language, tmp_path: Path, answers: Sequence[Answer], attempts: int, exit_code: int
) -> None:
    with router(*answers) as there:
        events = [*printing("a"), throwing()]
        run = Batch(language.hurried(tmp_path), tmp_path, events, env=there.env).run()

    assert there.failed == [[message_id(1)]] * attempts
    assert run.exit_code == exit_code
    assert run.errors == (["the report was not accepted"] if exit_code else [])
    assert "t0ken" not in run.stdout + run.stderr


def test_a_router_that_is_gone_fails_the_batch(language: Language, tmp_path: Path) -> None:
    with router(200) as there:
        env = there.env
    run = Batch(language.hurried(tmp_path), tmp_path, [throwing()], env=env).run()

    assert (run.exit_code, run.errors) == (1, ["the report was not accepted"])


def test_a_report_goes_to_ipv6_and_by_no_proxy(language: Language, tmp_path: Path) -> None:
    nowhere = dict.fromkeys(("http_proxy", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    with router(200, host="::1") as there:
        run = Batch(language, tmp_path, [throwing()], env={**there.env, **nowhere}).run()

    assert (run.exit_code, there.failed) == (0, [[message_id(0)]])


@dataclass
class Fly:
    """Of the Machines API what the router needs to accept a report."""

    written: dict[str, str] = field(default_factory=dict)

    async def set_metadata(self, app: str, machine_id: str, key: str, value: str) -> None:
        self.written[key] = value


@pytest.mark.real_time
async def test_the_routers_own_server_accepts_the_report(
    language: Language, tmp_path: Path
) -> None:
    fly = Fly()
    reports = FailureReports(fly)  # type: ignore[arg-type] # as much of it as is used
    async with serve(admin_app(reports)) as reports.base_url:
        address = reports.open("b1", "jobs", [message_id(0), message_id(1)], deadline=2e9)
        assert address is not None
        reports.launched("b1", "3d8d7000c52d78")
        env = {"LAMBDO_REPORT_URL": address.url, "LAMBDO_REPORT_TOKEN": address.token}
        batch = Batch(language, tmp_path, [*printing("a"), throwing()], env=env)
        run = await asyncio.to_thread(batch.run)

    assert run.exit_code == 0, run.stderr
    assert reports.close("b1") == {message_id(1)}
    assert fly.written == {"lambdo_failed": message_digest(message_id(1))}


# What it is given


def test_a_thousand_events_of_640_kb_are_handled(language: Language, tmp_path: Path) -> None:
    events = [{"do": "print", "text": f"{n}", "padding": "x" * 600} for n in range(1000)]
    events[500] = {"do": "throw", "text": "oops"}
    with router(200) as there:
        run = Batch(language, tmp_path, events, env=there.env).run()

    assert (tmp_path / "events.json").stat().st_size > 640_000
    assert run.printed == [str(n) for n in range(1000) if n != 500]
    assert list(run.outcomes.values()).count("done") == 999
    assert there.failed == [[message_id(500)]]


def test_no_events_are_fine(language: Language, tmp_path: Path) -> None:
    for handler in (language.handler, language.batch_handler):
        run = Batch(language, tmp_path, [], handler=language.file(handler)).run()

        assert (run.exit_code, run.outcomes, run.printed) == (0, {}, [])
        assert run.logged[-1]["events"] == 0


_EVENT = '{"do": "print", "text": "a"}'


@pytest.mark.parametrize(
    ("events", "messages", "said"),
    [
        pytest.param("[{]", None, "cannot read", id="no-json"),
        pytest.param(_EVENT, None, "no JSON array of events", id="an-object"),
        pytest.param(f'[{_EVENT}, {{"a": "]', None, "cannot read", id="cut-short"),
        pytest.param(f"[{_EVENT}], [oops]", None, "cannot read", id="more-than-an-array"),
        pytest.param(f"[{_EVENT}, oops]", [{}], "it has 1 messages", id="and-one-too-many"),
        pytest.param(f"[{_EVENT}]", "{", "cannot read", id="batch-no-json"),
        pytest.param(f"[{_EVENT}]", [], "it has 0 messages", id="batch-of-others"),
        pytest.param(f"[{_EVENT}]", [7], "it has 0 messages", id="batch-of-numbers"),
        pytest.param(f"[{_EVENT}]", "7", "it has 0 messages", id="batch-a-number"),
    ],
)
def test_files_that_cannot_be_read_fail_the_batch_and_nothing_is_run(
    language: Language, tmp_path: Path, events: str, messages: Any, said: str
) -> None:
    with router(200) as there:
        run = Batch(language, tmp_path, events, messages, env=there.env).run()

    assert (run.exit_code, run.printed, run.outcomes, there.reports) == (1, [], {}, [])
    [error] = run.errors
    assert said in error
    assert str(tmp_path) in error


_TRICKY = r'{"do": "print", "text": "a, ]}[{ \"\\"}'


def unreadable(inside: str, *readers: str, case: str) -> object:
    """An event with this in it, and the languages that read it."""
    event = f'{{"do": "print", "text": "b", "n": {inside}}}'
    return pytest.param(event, {}, readers, "the event", id=case)


def badly_described(attributes: object, *, case: str) -> object:
    event = '{"do": "print", "text": "b"}'
    return pytest.param(event, attributes, (), "the attributes of its message", id=case)


@pytest.mark.parametrize(
    ("event", "attributes", "readers", "what"),
    [
        unreadable("9" * 4301, "node", "php", case="long-integer"),
        unreadable(r'"\ud800", "n": 1', "node", "python", case="half-a-pair-hidden"),
        unreadable("[" * 600 + "]" * 600 + ', "n": 1', "node", "python", case="depth-hidden"),
        unreadable("[" * 100_000 + "]" * 100_000, "node", case="depth"),
        unreadable("oops, {}, [[[1]]]", case="no-json"),
        badly_described({"seal": {"type": "Binary", "value": "hello!"}}, case="no-base64"),
        badly_described({"seal": {"type": "Binary.png", "value": "YQ"}}, case="cut-base64"),
        badly_described({"kind": {"type": "String"}}, case="attribute-without-value"),
        badly_described({"kind": {"value": "a"}}, case="attribute-without-type"),
        badly_described({"kind": "a"}, case="attribute-a-text"),
        badly_described(7, case="attributes-a-number"),
    ],
)
def test_what_cannot_be_read_of_one_event_fails_it_alone(
    language: Language,
    tmp_path: Path,
    event: str,
    attributes: object,
    readers: tuple[str, ...],
    what: str,
) -> None:
    messages = messages_of(range(3))
    messages[1]["attributes"] = attributes
    events = f" [{_TRICKY} , {event},\n{_TRICKY}] "
    with router(200) as there:
        run = Batch(language, tmp_path, events, messages, env=there.env).run()

    tricky = json.loads(_TRICKY)["text"]
    assert (run.exit_code, run.errors) == (0, [])
    if language.name in readers:
        assert run.printed == [tricky, "b", tricky]
        assert there.reports == []
    else:
        assert run.printed == [tricky, tricky]
        assert run.outcomes == {0: "done", 1: "failed", 2: "done"}
        assert run.error(1).startswith(f"cannot read {what}: ")
        assert there.failed == [[message_id(1)]]


_AT_THE_LIMIT = (
    "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1),
    "-" + "9" * MAX_DIGITS,
    "9" * 5000 + ".5e5000",
    "1e999999",
    "-0",
    r'"\ud83d\ude00 \u0000 \\ud800 \u2028"',
    '"\uffff\U0001f600\x7f\u2028"',
    r'{"\u0000a": 1, "__proto__": {"x": 1}, "": 1, "0": 1, "\u005f_proto__": 2}',
)


def test_what_the_router_takes_is_read_in_every_language(
    language: Language, tmp_path: Path
) -> None:
    twice = [pair for it in _AT_THE_LIMIT for pair in ((it, "1"), ("1", it))]
    events = [
        f'\r\n\t{{"do": "print", "text": "a", "n": {first}, "n": {last}}} ' for first, last in twice
    ]
    for event in events:
        read_event(Message("1", "r", event, {}, {}), "none")
    run = Batch(language, tmp_path, f"[{','.join(events)}]", messages=None).run()

    assert (run.exit_code, run.stderr, run.errors) == (0, "", [])
    assert set(run.outcomes.values()) == {"done"}


def test_without_an_id_what_cannot_be_read_fails_the_batch(
    language: Language, tmp_path: Path
) -> None:
    for identity in (None, 7):
        messages = messages_of(range(2))
        messages[0]["message_id"] = identity
        with router(200) as there:
            events = f"[oops, {_EVENT}]"
            run = Batch(language, tmp_path, events, messages, env=there.env).run()

        assert (run.exit_code, run.printed, there.reports) == (1, ["a"], [])
        assert run.outcomes == {0: "failed", 1: "done"}


def test_a_function_for_the_batch_is_given_what_can_be_read(
    language: Language, tmp_path: Path
) -> None:
    handler = language.file(language.batch_handler)
    for events, printed in (
        ("[oops, {}, {}]", ["2 events, 2 messages"]),
        ("[oops, oops, oops]", []),
    ):
        with router(200) as there:
            batch = Batch(language, tmp_path, events, messages_of(range(3)), handler, there.env)
            run = batch.run()

        assert (run.exit_code, run.printed) == (0, printed)
        assert there.failed == [[message_id(n) for n in range(3) if n == 0 or not printed]]


def test_only_binary_and_its_labels_are_binary(language: Language, tmp_path: Path) -> None:
    [message] = messages_of(["one"])
    message["attributes"] = {
        "like": {"type": "BinaryX", "value": "hello!"},
        "seal": {"type": "Binary.x", "value": base64.b64encode(b"abc").decode()},
        "kind": {"type": "String.Binary", "value": "a"},
    }
    run = Batch(language, tmp_path, [{"do": "context"}], [message]).run()

    assert json.loads(run.printed[0])["attributes"] == {
        "like": "hello!",
        "seal": "abc",
        "kind": "a",
    }


def test_a_missing_events_file_fails_the_batch(language: Language, tmp_path: Path) -> None:
    elsewhere = {"EVENTS_PATH": str(tmp_path / "nowhere.json")}
    run = Batch(language, tmp_path, [], env=elsewhere).run()

    assert run.exit_code == 1
    assert "nowhere.json" in run.errors[0]


def test_the_context_has_what_is_known_of_a_message(language: Language, tmp_path: Path) -> None:
    [message] = messages_of(["one"])
    message["attributes"] = {
        "kind": {"type": "String", "value": "größe"},
        "shop": {"type": "Number", "value": "7.10"},
        "seal": {"type": "Binary.png", "value": base64.b64encode(b"abc").decode()},
    }
    env = {"LAMBDO_DEADLINE": str(int(time.time()) + 900)}
    run = Batch(language, tmp_path, [{"do": "context"}], [message], env=env).run()

    assert json.loads(run.printed[0]) == {
        "index": 0,
        "messageId": message_id(0),
        "receiveCount": 1,
        "sentAt": 1700000000.5,
        "route": "orders",
        "queue": "q",
        "batchId": "b1",
        "deadline": int(env["LAMBDO_DEADLINE"]),
        "attributes": {"kind": "größe", "shop": "7.10", "seal": "abc"},
        "system": {"SenderId": "AROA"},
        "left": True,
    }


def test_without_a_batch_file_the_context_has_the_environment(
    language: Language, tmp_path: Path
) -> None:
    env = {"LAMBDO_ROUTE": "r", "LAMBDO_QUEUE": "s", "LAMBDO_BATCH_ID": "b2"}
    run = Batch(language, tmp_path, [{"do": "context"}], messages=None, env=env).run()

    assert json.loads(run.printed[0]) == {
        **dict.fromkeys(("messageId", "receiveCount", "sentAt", "deadline", "system")),
        "index": 0,
        "route": "r",
        "queue": "s",
        "batchId": "b2",
        "attributes": {},
        "left": "for ever",
    }


def test_the_logger_writes_lines_that_name_the_message(language: Language, tmp_path: Path) -> None:
    run = Batch(language, tmp_path, [{"do": "log", "text": "hello"}]).run()

    lines = {it["level"]: it for it in run.logged if it["message"] == "hello"}
    assert list(lines) == ["debug", "info", "warning", "error"]
    for line in lines.values():
        assert line["shop"] == 7
        assert (line["message_id"], line["route"]) == (message_id(0), "orders")
    assert [json.loads(line)["level"] for line in run.stderr.splitlines()] == ["error"]


def test_numbers_are_read_as_the_page_says(language: Language, tmp_path: Path) -> None:
    numbers = ["9007199254740991", "9223372036854775807", "123456789012345678901", "1.10", "1e2"]
    read_as = {
        "node": ["9007199254740991", "9223372036854776000", "123456789012345680000", "1.1", "100"],
        "php": ["9007199254740991", numbers[1], f'"{numbers[2]}"', "1.1", "100"],
        "python": ["9007199254740991", numbers[1], numbers[2], "1.1", "100.0"],
    }
    events = f'[{{"do": "numbers", "numbers": [{", ".join(numbers)}]}}]'
    run = Batch(language, tmp_path, events).run()

    assert re.split(r", ?", run.printed[0].strip("[]")) == read_as[language.name]


# Several at a time, and the end


def test_events_run_side_by_side_if_asked_for(language: Language, tmp_path: Path) -> None:
    # Python alone has functions of two kinds.
    for handler in ("", "coroutine.py") if language.name == "python" else ("",):
        folder = tmp_path / (handler or "ordinary")
        folder.mkdir()
        _run_side_by_side(language, folder, handler)


def _run_side_by_side(language: Language, tmp_path: Path, handler: str) -> None:
    there = str(tmp_path / "there")
    events = [{"do": "wait", "path": there}, {"do": "touch", "path": there}, *printing("c")]
    events[2:2] = [throwing(), throwing()]
    with router(200) as asked:
        env = {"LAMBDO_CONCURRENCY": "2", **asked.env}
        file = language.file(handler) if handler else None
        run = Batch(language, tmp_path, events, handler=file, env=env).run()

    assert sorted(run.printed) == ["c", "waited", "waiting"]
    assert list(run.outcomes.values()) == ["done", "done", "failed", "failed", "done"]
    assert asked.failed == [[message_id(2), message_id(3)]]


def test_an_exit_beside_others_loses_none(language: Language, tmp_path: Path) -> None:
    events = [{"do": "exit", "code": 0}, *printing("b"), {"do": "exit", "code": 3}]
    with router(200) as there:
        env = {"LAMBDO_CONCURRENCY": "3", **there.env}
        run = Batch(language, tmp_path, events, env=env).run()

    [failed] = there.failed
    assert {message_id(0), message_id(2)} <= set(failed)
    assert run.outcomes[0] == "failed"
    assert run.exit_code == 0


@pytest.mark.parametrize("number", ["0", "many"])
def test_a_concurrency_that_is_none_fails_the_batch(
    language: Language, tmp_path: Path, number: str
) -> None:
    run = Batch(language, tmp_path, printing("a"), env={"LAMBDO_CONCURRENCY": number}).run()

    assert (run.exit_code, run.printed, run.outcomes) == (1, [], {})
    assert run.errors == [f"LAMBDO_CONCURRENCY is {number}; write 1 or more"]


def told_while_waiting(batch: Batch, there: Path, number: signal.Signals) -> Ended:
    """Send the signal while the first event is being handled, which ends only after it."""
    process = batch.start()
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first == "waiting\n"
    process.send_signal(number)
    there.touch()
    return ended(process, first)


@pytest.mark.parametrize(
    ("number", "concurrency"),
    [(signal.SIGTERM, "1"), (signal.SIGTERM, "2"), (signal.SIGINT, "1")],
    ids=["SIGTERM", "SIGTERM-two-at-a-time", "SIGINT"],
)
def test_a_signal_finishes_the_current_event_and_fails_the_rest(
    language: Language, tmp_path: Path, number: signal.Signals, concurrency: str
) -> None:
    there = tmp_path / "there"
    events = [{"do": "wait", "path": str(there)}] * int(concurrency) + printing("b", "c")
    with router(200) as asked:
        env = {"LAMBDO_CONCURRENCY": concurrency, **asked.env}
        run = told_while_waiting(Batch(language, tmp_path, events, env=env), there, number)

    begun = int(concurrency)
    assert run.exit_code == 0
    assert asked.failed[0][-2:] == [message_id(begun), message_id(begun + 1)]
    assert run.outcomes[0] == "done"
    assert run.error(begun + 1) == f"{number.name} came before it was begun"
    assert "b" not in run.printed


def test_a_signal_before_the_end_of_the_last_event_changes_nothing(
    language: Language, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    batch = Batch(language, tmp_path, [{"do": "wait", "path": str(there)}])
    run = told_while_waiting(batch, there, signal.SIGTERM)

    assert (run.exit_code, run.outcomes) == (0, {0: "done"})


def test_no_event_is_begun_shortly_before_the_deadline(tmp_path: Path) -> None:
    """All languages at once: they have two seconds, the last tenth of which is for the report."""
    deadline, there = time.time() + 2.0, tmp_path / "there"
    events = [{"do": "wait", "path": str(there)}, *printing("b")]
    here = [language for language in LANGUAGES if language.is_here]
    with router(200) as asked:
        started = []
        for language in here:
            folder = tmp_path / language.name
            folder.mkdir()
            env = {"LAMBDO_DEADLINE": str(deadline), **asked.env}
            started.append(Batch(language, folder, events, env=env).start())
        first = [process.stdout.readline() for process in started if process.stdout]
        time.sleep(max(0.0, deadline - time.time()))
        there.touch()
        runs = list(map(ended, started, first))

    assert asked.failed == [[message_id(1)]] * len(here)
    for run in runs:
        assert run.outcomes == {0: "done", 1: "failed"}
        assert run.error(1) == "the deadline came before it was begun"


def test_a_deadline_that_was_over_at_the_start_says_nothing(
    language: Language, tmp_path: Path
) -> None:
    run = Batch(language, tmp_path, printing("a"), env={"LAMBDO_DEADLINE": "1700000000"}).run()

    assert (run.exit_code, run.printed) == (0, ["a"])


# One function for the whole batch


@pytest.mark.parametrize(
    ("returned", "failed"),
    [
        pytest.param(None, [], id="nothing"),
        pytest.param({"batchItemFailures": []}, [], id="no-failures"),
        pytest.param({"batchItemFailures": [{"itemIdentifier": "message-1"}]}, [1], id="one"),
        pytest.param(
            {"batchItemFailures": [{"itemIdentifier": f"message-{n}"} for n in (2, 0, 2)]},
            [0, 2],
            id="two-of-them-twice",
        ),
        # Lambda's rule: what cannot be understood fails them all.
        pytest.param({"batchItemFailures": [{"itemIdentifier": "x"}]}, [0, 1, 2], id="strange"),
        pytest.param({"batchItemFailures": [{"itemIdentifier": None}]}, [0, 1, 2], id="no-id"),
        pytest.param({"batchItemFailures": {"a": 1}}, [0, 1, 2], id="no-list"),
        pytest.param({"batchItemFailures": 7}, [0, 1, 2], id="a-number"),
    ],
)
def test_a_function_for_the_batch_returns_what_failed(
    language: Language, tmp_path: Path, returned: object, failed: list[int]
) -> None:
    handler = language.file(language.batch_handler)
    with router(200) as there:
        events = [{"return": returned}, {}, {}]
        run = Batch(language, tmp_path, events, handler=handler, env=there.env).run()

    assert run.printed == ["3 events, 3 messages"]
    assert run.exit_code == 0
    assert there.failed == ([[message_id(n) for n in failed]] if failed else [])
    assert [n for n, outcome in run.outcomes.items() if outcome == "failed"] == failed


def test_a_function_for_the_batch_that_throws_fails_it_all(
    language: Language, tmp_path: Path
) -> None:
    handler = language.file(language.batch_handler)
    events = [{"throw": "no database"}, {}]
    with router(200) as there:
        reported = Batch(language, tmp_path, events, handler=handler, env=there.env).run()
    silent = Batch(language, tmp_path, events, handler=handler).run()

    assert (reported.exit_code, silent.exit_code) == (0, 1)
    assert there.failed == [[message_id(0), message_id(1)]]
    assert "no database" in silent.error(1)
