"""
The message of a test, from what its author wrote to what SQS would deliver.

It is written in the test, or in a message file as `send` takes it. What a test does not say is as
on the first delivery of a message.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Final, Literal

from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.messages import (
    SampleError,
    WrittenMessage,
    attribute,
    json_body,
    notification,
    read_message,
)
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.files import link_out, read_regular
from lambdo_router.config.read.parts import Part
from lambdo_router.config.read.places import Place
from lambdo_router.core.message import Attribute, Message
from lambdo_router.core.settlement import LARGEST_MESSAGE, MOST_ATTRIBUTES

_SAID_BY_FILE: Final = ("queue", "attributes", "envelope")
_FIRST_DELIVERY: Final[Mapping[str, str]] = {
    "SenderId": "AIDAEXAMPLE",
    "SentTimestamp": "1767225600000",
    "ApproximateFirstReceiveTimestamp": "1767225600000",
}
"""What SQS says of a message whose test says nothing; the times are the first of January 2026."""


@dataclass(slots=True)
class Findings:
    """A file with tests, and what was found wrong in it."""

    part: Part
    problems: list[Diagnostic] = field(default_factory=list)

    def note(
        self,
        at: Path,
        code: str,
        message: str,
        hint: str = "",
        on: Literal["value", "key"] = "value",
    ) -> None:
        """Note something wrong with the value, or the key, at this path."""
        document = self.part.document
        self.problems.append(document.diagnostic(at, code, message, on=on, hint=hint))

    def place(self, at: Path) -> Place:
        """Where the value at this path is written; if there is none, what is around it."""
        found = self.part.document.diagnostic(at, "", "")
        return Place(found.file, found.line, found.column, found.end_column)


def read_test_message(
    findings: Findings, message: Mapping[str, Any], at: Path
) -> tuple[str, Message] | None:
    """
    The queue, and the message that comes from it, as written at `at`.

    None if it cannot be made; that, and everything that is wrong with it, is noted.
    """
    sent = _sent(findings, message, at)
    if sent is None:
        return None
    _check_limits(findings, sent, at)
    system = {**_FIRST_DELIVERY, "ApproximateReceiveCount": _text(message.get("receive_count", 1))}
    system |= {name: _text(value) for name, value in message.get("system", {}).items()}
    return sent.queue, Message("test", "", sent.body, sent.attributes, system)


def _text(value: object) -> str:
    # The schema takes 10.0 for a whole number, as JSON does.
    return str(int(value)) if isinstance(value, int | float) else str(value)


def _sent(findings: Findings, message: Mapping[str, Any], at: Path) -> WrittenMessage | None:
    if "file" in message:
        return _from_file(findings, message, at)
    if "queue" not in message:
        hint = "name the queue that it comes from, or a message `file`"
        findings.note(at, "missing-key", "`message` has no `queue`", hint, "key")
        return None
    attributes = _attributes(findings, message.get("attributes", {}), (*at, "attributes"))
    body = _body(findings, message, at)
    if body is None:
        return None
    sent = WrittenMessage(message["queue"], body, attributes)
    return notification(sent) if message.get("envelope") == "sns" else sent


def _from_file(findings: Findings, message: Mapping[str, Any], at: Path) -> WrittenMessage | None:
    for key in _SAID_BY_FILE:
        if key in message:
            what = f"`{key}` does not go with `file`, which says what the message is"
            findings.note((*at, key), "conflicting-keys", what, "remove one of them", "key")
    if _leads_out(findings, message["file"], (*at, "file")):
        return None
    try:
        return read_message(_folder(findings) / message["file"])
    except SampleError as error:
        for line in str(error).splitlines():
            findings.note((*at, "file"), "bad-test-message", line)
        return None


def _body(findings: Findings, message: Mapping[str, Any], at: Path) -> str | None:
    if "body_text" in message:
        return str(message["body_text"])
    if "body_file" not in message:
        return json_body(message.get("body", {}))
    path, at = _folder(findings) / message["body_file"], (*at, "body_file")
    if _leads_out(findings, message["body_file"], at):
        return None
    try:
        body = read_regular(path, LARGEST_MESSAGE + 1).decode()
    except UnicodeDecodeError as error:
        what = f"byte {error.start} of {path} is not UTF-8"
        findings.note(at, "bad-test-message", what, "SQS takes text only")
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        findings.note(at, "bad-test-message", f"{path} cannot be read: {reason}")
        return None
    if not body:
        what, hint = f"{path} is empty", "SQS takes no message without a body"
        findings.note(at, "bad-test-message", what, hint)
    return body


def _attributes(findings: Findings, written: Mapping[str, Any], at: Path) -> dict[str, Attribute]:
    attributes: dict[str, Attribute] = {}
    for name, value in written.items():
        data_type, text = _typed(value, findings.part.source((*at, name)))
        try:
            attributes[name] = attribute(name, data_type, text)
        except ValueError as problem:
            findings.note((*at, name), "bad-test-message", str(problem))
    return attributes


def _typed(value: object, source: str) -> tuple[str, str]:
    """Type and text of an attribute, as SQS has them."""
    match value:
        case str():
            return "String", value
        case {"type": str(data_type), "value": str(text)}:
            return data_type, text
        case list():
            return "String.Array", json_body(value)
        case _:
            return "Number", source


def _check_limits(findings: Findings, sent: WrittenMessage, at: Path) -> None:
    size, count = len(sent.body.encode()), len(sent.attributes)
    if size > LARGEST_MESSAGE:
        what, hint = "the body is over 1 MiB", "SQS takes messages of up to 1 MiB"
        findings.note(at, "bad-test-message", what, hint, "key")
    if count > MOST_ATTRIBUTES:
        what, hint = f"{count} attributes", f"SQS takes {MOST_ATTRIBUTES} with a message"
        findings.note((*at, "attributes"), "bad-test-message", what, hint, "key")


def _leads_out(findings: Findings, text: str, at: Path) -> bool:
    """Whether a link leads the path out of its folder, which is then noted."""
    folder = _folder(findings)
    link = link_out(folder, folder / text)
    if link is not None:
        what = f"the link `{link}` leads out of the folder that the path names"
        findings.note(at, "bad-test-message", what, "copy the file there")
    return link is not None


def _folder(findings: Findings) -> FilePath:
    return findings.part.path.parent
