"""
What an answer of the Machines API means, and whether to retry.

Fly answers an error with `{"error": "<code>: <text>", "status": "<word>"}`, a lease error with
`{"status": "error", "message": ...}`, and a broken gateway with a page of HTML. The table below
decides by the `status` word, then by the HTTP code, then by the text, since one code has several
meanings: 409 is a taken name, a full host or a held lease; 422 is a full region, which is
transient, or a quota, which is not.

Pure: nothing here waits or calls.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import responses
from typing import Literal

from lambdo_router.adapters.retry_after import seconds_of
from lambdo_router.core.errors import LaunchError, LaunchRejected, LaunchUnavailable

_LONGEST_TEXT = 200
_LONGEST_LOOK = 16 * 1024
"""Characters of a text that are looked at for its first words."""
_TITLE = re.compile("<title", re.IGNORECASE)
_TITLES_END = re.compile("</title", re.IGNORECASE)

Secret = str | tuple[str, str]
"""A text that is not shown to people; with another, that is shown instead."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read to its end. The names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str
    secrets: tuple[Secret, ...] = field(default=(), repr=False)
    """What is never shown to people, even where the answer repeats it."""

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def json(self) -> object:
        """Return the body's JSON value; None if it is not JSON."""
        try:
            value: object = json.loads(self.text)
        except (ValueError, RecursionError):
            return None
        return value

    def fields(self) -> Mapping[str, object]:
        """Return the body's JSON object; empty if it is not one."""
        value = self.json()
        return value if isinstance(value, dict) else {}


Fate = Literal["passes", "unclear", "refused"]
"""Retry; retry, but the call may have had its effect; a person must fix it."""


@dataclass(frozen=True, slots=True)
class _Row:
    code: str
    fate: Fate
    http: Collection[int] = range(100, 1000)
    says: str = ""
    """A pattern to be found in the text, in any case of letters."""
    word: str = ""
    """The body's `status`."""
    remedy: str = ""


_CLIENT_ERROR = range(400, 500)

# The first row that fits decides. Words come before codes and codes before texts, with one
# exception: the two texts on top are known, while the HTTP code they come with is not.
_TABLE = (
    _Row("too_large", "refused", says="request body too large|request entity too large"),
    _Row("bad_image", "refused", _CLIENT_ERROR, says="MANIFEST_UNKNOWN|failed to get manifest"),
    _Row("region_capacity", "passes", word="insufficient_capacity"),
    _Row("volume_capacity", "passes", word="volume_placement_capacity"),
    _Row("name_taken", "unclear", word="name_taken"),
    _Row("rate_limited", "passes", {429}),
    _Row("deadline", "unclear", {408}),
    # An organisation's share of a region is used up: the token is as good as before.
    _Row(
        "region_capacity",
        "passes",
        {400, 403, 422},
        says="over the allowed quota|consider (other|another) region",
    ),
    _Row(
        "bad_token",
        "refused",
        {401},
        remedy="the token is wrong or has expired; `fly tokens create deploy -a {app}` makes one",
    ),
    _Row(
        "forbidden",
        "refused",
        {403},
        remedy="the token is not for the app {app}; `fly tokens create deploy -a {app}` makes one, "
        "and several are joined by commas",
    ),
    _Row("too_large", "refused", {413}),
    _Row("quota", "refused", {402}),
    _Row(
        "app_not_found",
        "refused",
        {404},
        says=r"\bapp\b",
        remedy="`fly apps create {app}` makes the app, `fly apps list` shows those there are",
    ),
    _Row("not_found", "refused", {404}),
    _Row("name_taken", "unclear", {409, 422}, says="already.exists|name violation"),
    _Row("region_capacity", "passes", {400, 409, 503}, says="(no|out of) capacity|candidate host"),
    _Row("host_capacity", "passes", {409}, says="insufficient|could not reserve"),
    _Row("conflict", "passes", {409, 423}),
    _Row("volume_capacity", "passes", {412}, says="volume"),
    _Row("host_capacity", "passes", {412}, says="insufficient|could not reserve"),
    _Row("precondition", "passes", {412}),
    _Row("region_capacity", "passes", {422}, says="candidate host|capacity|insufficient"),
    _Row(
        "quota",
        "refused",
        {400, 422},
        says="maximum number|payment method|quota",
        remedy="Fly raises the limit on request; a payment method lifts that of a new account",
    ),
    _Row("bad_guest", "refused", {400, 422}, says=r"config\.guest|config\.size"),
    _Row("bad_image", "refused", {400, 422}, says=r"config\.image|\bimage\b"),
    _Row("bad_region", "refused", {400, 422}, says=r"\bregion\b"),
    _Row("invalid_request", "refused", _CLIENT_ERROR),
    _Row("unavailable", "unclear", range(500, 1000)),
    _Row(
        "unexpected",
        "refused",
        remedy="this is no answer of a Machines API; see the address that FLY_API_HOSTNAME gives",
    ),
)


def failure(answer: Answer, app: str, now: float) -> LaunchError:
    """
    Return the error for an answer without success; `now` is unix time, for a Retry-After.

    Its text is `Machines API: 422 could not find a candidate host (request 01J...-iad)`, and what
    to do where a person must act.
    """
    word, text = _word(answer), _said(answer)
    row = next(
        row
        for row in _TABLE
        if answer.status in row.http
        and (not row.word or row.word == word)
        and (not row.says or re.search(row.says, text, re.IGNORECASE))
    )
    message = described(answer)
    if row.remedy:
        message += "; " + row.remedy.format(app=app)
    if row.fate == "refused":
        return LaunchRejected(message, code=row.code)
    return LaunchUnavailable(
        message,
        code=row.code,
        retry_after=seconds_of(answer.headers.get("retry-after", ""), now),
        ambiguous=row.fate == "unclear",
    )


def described(answer: Answer) -> str:
    """One line on an answer for people, with its request id, which Fly's support asks for."""
    said = shown(_said(answer), answer.secrets)
    line = f"Machines API: {answer.status} {said}".rstrip()
    request = answer.headers.get("fly-request-id", "")
    return f"{line} (request {shown(request, answer.secrets)})" if request else line


def holder_of_name(answer: Answer, name: str) -> str | None:
    """
    Return the id of the Machine that holds `name` already, if that is what the answer says.

    Empty if it says so without an id; None if it says something else. Fly words it `already_exists:
    unique machine name violation, machine ID 3d8d7000c52d78 already exists with name "job-1"`.
    """
    if answer.is_success or not isinstance(error := failure(answer, "", 0.0), LaunchUnavailable):
        return None
    if error.code != "name_taken":
        return None
    text = _said(answer).replace(name, "")
    found = re.search(r"machine\s+id\W{1,3}([\w-]+)|\b([0-9a-f]{14})\b", text, re.IGNORECASE)
    return "" if found is None else found[1] or found[2]


def shown(text: str, secrets: Iterable[Secret]) -> str:
    """Return a foreign text as one short line, without secrets, unprintable characters escaped."""
    for secret in secrets:
        hidden, instead = (secret, "[token]") if isinstance(secret, str) else secret
        text = text.replace(hidden, instead)
    line = " ".join(text[:_LONGEST_LOOK].split())
    if len(line) > _LONGEST_TEXT:
        line = line[:_LONGEST_TEXT] + "..."
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in line
    )


def _word(answer: Answer) -> str:
    word = answer.fields().get("status")
    return word if isinstance(word, str) else ""


def _said(answer: Answer) -> str:
    """Return the body's message, the title of its page, or the usual phrase for the status."""
    fields = answer.fields()
    for key in ("message", "error"):
        value = fields.get(key)
        if value:
            return value if isinstance(value, str) else json.dumps(value)
    text = answer.text.strip()
    if text.startswith("<") or "text/html" in answer.headers.get("content-type", ""):
        return _title(text).removeprefix(f"{answer.status} ") or "a page of HTML"
    if text and text not in ("{}", "[]", "null", '""'):
        return text
    return responses.get(answer.status, "")


def _title(page: str) -> str:
    """Return the title of an HTML page, empty if it has none, in linear time."""
    begins = _TITLE.search(page)
    opened = -1 if begins is None else page.find(">", begins.end())
    ends = None if opened < 0 else _TITLES_END.search(page, opened)
    return "" if ends is None else page[opened + 1 : ends.start()].strip()
