"""
Reads tests: each message as SQS would deliver it, and what is expected of it.

A message is written in the test, or in a message file as `send` takes it. What a test leaves out
is as on the first delivery of a message.
"""

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path as FilePath
from typing import Any, Final

from lambdo_router.config.diagnostics import Diagnostic, Place
from lambdo_router.config.messages import (
    Sample,
    SampleError,
    attribute,
    json_body,
    notification,
    read_sample,
)
from lambdo_router.config.read.document import Document, On, Path, value_at
from lambdo_router.config.read.files import link_out, read_regular
from lambdo_router.config.read.shape import violations
from lambdo_router.config.route_tests import TESTS_SCHEMA, RouteTest
from lambdo_router.core.lease import LARGEST_MESSAGE, MOST_ATTRIBUTES
from lambdo_router.core.message import Attribute, Message

_OF_A_MACHINE: Final = ("image", "size", "command", "env", "app", "region", "batch_with")
_OF_A_REJECTION: Final = ("policy", "detail")
_BODIES: Final = ("file", "body", "body_text", "body_file")
_WITHOUT_A_ROUTE: Final = ("not_json", "unmatched")
_GIVEN_BY_FILE: Final = ("queue", "attributes", "envelope")
_FIRST_DELIVERY: Final[Mapping[str, str]] = {
    "SenderId": "AIDAEXAMPLE",
    "SentTimestamp": "1767225600000",
    "ApproximateFirstReceiveTimestamp": "1767225600000",
}
"""SQS's own attributes unless a test sets them; the time is 1 January 2026."""

TestsAndProblems = tuple[tuple[RouteTest, ...], tuple[Diagnostic, ...]]
"""The tests of a file that are valid, and what is wrong with the others."""


def read_tests_file(file: Document, env: Mapping[str, str]) -> TestsAndProblems:
    """Read a test file. `env` are variables from elsewhere, which the file's own override."""
    problems: list[Diagnostic] = []
    misshapen: set[Path] = set()
    for violation in violations(file.value, TESTS_SCHEMA, file):
        problems.append(violation.diagnostic(file))
        misshapen.add(violation.path)
    if misshapen & {(), ("tests",)}:
        return (), tuple(problems)
    own = {} if any(path[:1] == ("env",) for path in misshapen) else _at(file, "env")
    skipped = {path[1] for path in misshapen if len(path) > 1}
    tests, more = _read(file, _merged(env, own), skipped)
    return tests, (*problems, *more)


def read_tests_section(file: Document, env: Mapping[str, str]) -> TestsAndProblems:
    """Read the tests in a routes file, whose shape has been checked."""
    return _read(file, env, ())


def _read(file: Document, env: Mapping[str, str], skipped: Collection[object]) -> TestsAndProblems:
    reader = TestReader(file, env)
    indexes = [index for index in range(len(_at(file, "tests"))) if index not in skipped]
    tests = [reader.test(index) for index in indexes]
    return tuple(test for test in tests if test is not None), tuple(reader.problems)


def _at(file: Document, *path: str | int) -> Any:  # noqa: ANN401 - the schema has checked the type
    """Return the value at `path`, or an empty mapping if there is none."""
    try:
        return value_at(file.written, path)
    except (LookupError, TypeError):
        return {}


def _merged(lower: Mapping[str, str], upper: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**lower, **upper}
    return {name: value for name, value in merged.items() if value is not None}


class TestReader:
    """Reads the tests of one file and collects what is wrong with them in `problems`."""

    __test__ = False  # pytest would collect a class called Test...

    def __init__(self, file: Document, env: Mapping[str, str]) -> None:
        self.problems: list[Diagnostic] = []
        self._file = file
        self._folder = file.path.parent
        self._env = env
        self._first_lines: dict[str, int] = {}
        """The line of the first test of each name."""
        self._names = [
            entry["name"]
            for entry in _at(file, "tests")
            if isinstance(entry, dict) and isinstance(entry.get("name"), str)
        ]

    def test(self, index: int) -> RouteTest | None:
        """Return the test at this index, or None if something is wrong with it."""
        at: Path = ("tests", index)
        entry, before = _at(self._file, *at), len(self.problems)
        self._check_name(entry["name"], at)
        wanted = self._wanted(entry["expect"], (*at, "expect"))
        batch_with = self._batch_with(entry, (*at, "expect", "batch_with"))
        received = self.message(entry["message"], (*at, "message"))
        if received is None or len(self.problems) > before:
            return None
        queue, message = received
        return RouteTest(
            name=entry["name"],
            place=self._place(at),
            queue=queue,
            message=message,
            wanted=wanted,
            batch_with=batch_with,
            env=_merged(self._env, entry.get("env", {})),
            places=self._places(entry, at),
        )

    def _note(
        self,
        at: Path,
        code: str,
        message: str,
        hint: str = "",
        on: On = "value",
    ) -> None:
        self.problems.append(self._file.diagnostic(at, code, message, on=on, hint=hint))

    def _bad_message(self, at: Path, message: str, hint: str = "", on: On = "value") -> None:
        self._note(at, "bad-test-message", message, hint, on)

    def _place(self, at: Path) -> Place:
        """Return the place of the value at this path, or of what is around it."""
        return self._file.place(at)

    def _places(self, entry: Mapping[str, Any], at: Path) -> dict[str, Place]:
        message = entry["message"]
        body = next((key for key in _BODIES if key in message), "queue")
        places = {
            "queue": self._place((*at, "message", "queue" if "queue" in message else "file")),
            "body": self._place((*at, "message", body)),
        }
        if "route" in entry["expect"]:
            places["route"] = self._place((*at, "expect", "route"))
        return places

    # What is expected

    def _check_name(self, name: str, at: Path) -> None:
        line = self._place((*at, "name")).line
        first = self._first_lines.setdefault(name, line)
        if first != line:
            what = f"line {first} already has a test of this name"
            self._note((*at, "name"), "duplicate-test", what, "choose another name")

    def _batch_with(self, entry: Mapping[str, Any], at: Path) -> tuple[str, ...]:
        """Return the names of the tests in `batch_with`."""
        written = entry["expect"].get("batch_with", ())
        named = (written,) if isinstance(written, str) else tuple(written)
        others = [name for name in self._names if name != entry["name"]]
        for index, name in enumerate(named):
            if name not in others:
                path = at if isinstance(written, str) else (*at, index)
                what = f"no other test of this file is called `{name}`"
                near = difflib.get_close_matches(name, others, n=1)
                hint = f"did you mean `{near[0]}`?" if near else "name a test of this file"
                self._note(path, "unknown-test", what, hint)
        return named

    def _wanted(self, expect: Mapping[str, Any], at: Path) -> dict[str, object]:
        """Return what is expected, by field."""
        reason = "unmatched" if "unmatched" in expect else expect.get("rejected")
        self._check_combination(expect, reason, at)
        wanted: dict[str, object] = {}
        for key, value in expect.items():
            match key:
                case "unmatched" | "rejected":
                    wanted["rejected"] = reason
                case "env":
                    wanted |= {f"env.{name}": text for name, text in value.items()}
                case "region" if isinstance(value, str):
                    wanted["region"] = ",".join(map(str.strip, value.split(",")))
                case "batch_with":
                    pass
                case _:
                    wanted[key] = value
        return wanted

    def _check_combination(self, expect: Mapping[str, Any], reason: str | None, at: Path) -> None:
        def conflict(key: str, what: str) -> None:
            self._note((*at, key), "conflicting-keys", what, "remove one of them", "key")

        word = "unmatched" if "unmatched" in expect else "rejected"
        if "unmatched" in expect and "rejected" in expect:
            conflict("rejected", "`unmatched` and `rejected` contradict each other")
        if reason is None:
            for key in _OF_A_REJECTION:
                if key in expect:
                    what = f"`{key}` applies only to messages that get into no batch"
                    hint = "add `rejected` or `unmatched`, or remove it"
                    self._note((*at, key), "missing-key", what, hint, "key")
            return
        for key in _OF_A_MACHINE:
            if key in expect:
                conflict(key, f"`{key}` contradicts `{word}`: such a message gets no Machine")
        if reason in _WITHOUT_A_ROUTE and "route" in expect:
            conflict(
                "route", f"`route` contradicts `{word}`: a message that is {reason} takes none"
            )

    # The message

    def message(self, written: Mapping[str, Any], at: Path) -> tuple[str, Message] | None:
        """
        Return the queue and the message that it delivers, as written at `at`.

        None if it cannot be made; then `problems` say why.
        """
        sent = self._sent(written, at)
        if sent is None:
            return None
        size, count = len(sent.body.encode()), len(sent.attributes)
        if size > LARGEST_MESSAGE:
            self._bad_message(at, "the body is over 1 MiB", "SQS accepts up to 1 MiB", "key")
        if count > MOST_ATTRIBUTES:
            what, hint = f"{count} attributes", f"SQS accepts {MOST_ATTRIBUTES} per message"
            self._bad_message((*at, "attributes"), what, hint, "key")
        receives = _text(written.get("receive_count", 1))
        system = {**_FIRST_DELIVERY, "ApproximateReceiveCount": receives}
        system |= {name: _text(value) for name, value in written.get("system", {}).items()}
        return sent.queue, Message("test", "", sent.body, sent.attributes, system)

    def _sent(self, written: Mapping[str, Any], at: Path) -> Sample | None:
        if "file" in written:
            return self._from_file(written, at)
        if "queue" not in written:
            hint = "name the queue that it comes from, or a message `file`"
            self._note(at, "missing-key", "`message` has no `queue`", hint, "key")
            return None
        attributes = self._attributes(written.get("attributes", {}), (*at, "attributes"))
        body = self._body(written, at)
        if body is None:
            return None
        sent = Sample("", written["queue"], body, attributes)
        return notification(sent) if written.get("envelope") == "sns" else sent

    def _from_file(self, written: Mapping[str, Any], at: Path) -> Sample | None:
        for key in _GIVEN_BY_FILE:
            if key in written:
                what = f"`{key}` contradicts `file`, which has the whole message"
                self._note((*at, key), "conflicting-keys", what, "remove one of them", "key")
        path = self._inside(written["file"], (*at, "file"))
        try:
            return None if path is None else read_sample(path, with_expectation=False)
        except SampleError as error:
            for line in str(error).splitlines():
                self._bad_message((*at, "file"), line)
            return None

    def _body(self, written: Mapping[str, Any], at: Path) -> str | None:
        if "body_text" in written:
            return str(written["body_text"])
        if "body_file" not in written:
            return json_body(written.get("body", {}))
        at = (*at, "body_file")
        path = self._inside(written["body_file"], at)
        if path is None:
            return None
        try:
            body = read_regular(path, LARGEST_MESSAGE + 1).decode()
        except UnicodeDecodeError as error:
            what = f"byte {error.start} of {path} is not UTF-8"
            self._bad_message(at, what, "SQS accepts only text")
            return None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._bad_message(at, f"{path} cannot be read: {reason}")
            return None
        if not body:
            self._bad_message(at, f"{path} is empty", "SQS accepts no message without a body")
        return body

    def _attributes(self, written: Mapping[str, Any], at: Path) -> dict[str, Attribute]:
        attributes: dict[str, Attribute] = {}
        for name, value in written.items():
            data_type, text = _typed(value, self._file.source((*at, name)))
            try:
                attributes[name] = attribute(name, data_type, text)
            except ValueError as problem:
                self._bad_message((*at, name), str(problem))
        return attributes

    def _inside(self, text: str, at: Path) -> FilePath | None:
        """Return the path of a file; None, with a problem, if a link leads out of its folder."""
        path = self._folder / text
        link = link_out(self._folder, path)
        if link is None:
            return path
        what = f"the link `{link}` leads out of the folder of the path"
        self._bad_message(at, what, "copy the file there")
        return None


def _text(value: object) -> str:
    # The schema accepts 10.0 as a whole number, as JSON does.
    return str(int(value)) if isinstance(value, int | float) else str(value)


def _typed(value: object, source: str) -> tuple[str, str]:
    """Return SQS's type and text of an attribute."""
    match value:
        case str():
            return "String", value
        case {"type": str(data_type), "value": str(text)}:
            return data_type, text
        case list():
            return "String.Array", json_body(value)
        case _:
            return "Number", source
