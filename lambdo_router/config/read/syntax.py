"""
Broken YAML, in words for those who wrote it.

YAML's parsers speak of tokens and contexts, libyaml in other words than the one in Python. What
they found is told here as what people did: a variable without quotes, a line that is indented like
no other, a bracket that nobody closed.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Mistake:
    """Where a parser gave up, and what it said."""

    problem: str
    context: str
    """What it was doing, such as `while parsing a flow mapping`; may be empty."""
    begin: int | None
    """Index of the line where that begins; None if it is where the parser gave up, or unknown."""
    lines: Sequence[str]
    line: int
    """Index of the line where it gave up."""
    column: int
    """Index of the character in it; the length of the line for its end."""

    @property
    def character(self) -> str:
        return self.lines[self.line][self.column : self.column + 1]

    @property
    def before(self) -> str:
        """The line up to the character."""
        return self.lines[self.line][: self.column]


def explain_syntax(mistake: Mistake) -> tuple[str, str]:
    """The code of the diagnostic, and what to say."""
    if "a tab" in mistake.problem or (_cannot_start(mistake) and mistake.character == "\t"):
        return "tab", "a tab cannot indent or separate; use spaces"
    said = next(filter(None, (rule(mistake) for rule in _RULES)), None)
    if said is None:
        said = mistake.problem
        if mistake.context and not mistake.context.endswith("next token"):
            said += f", {mistake.context}"
            said += f" that begins in line {mistake.begin + 1}" if mistake.begin is not None else ""
    return "yaml-syntax", said + _open_quote(mistake)


def _conflict(mistake: Mistake) -> str | None:
    for number, line in enumerate(mistake.lines, 1):
        if line.startswith("<<<<<<< "):
            return f"git has left two versions to choose from, marked from line {number} on"
    return None


def _slashes(mistake: Mistake) -> str | None:
    for number, line in enumerate(mistake.lines[: mistake.line + 1], 1):
        if line.lstrip().startswith("//"):
            return f"line {number} begins with `//`; a comment begins with `#`"
    return None


def _variable(mistake: Mistake) -> str | None:
    if mistake.character != "{" or not mistake.before.endswith("$"):
        return None
    found = re.match(r"\$\{[^{}]*\}", mistake.lines[mistake.line][mistake.column - 1 :])
    written = found[0] if found else "${...}"
    return f'a variable inside brackets or braces needs quotes: "{written}"'


def _brackets(mistake: Mistake) -> str | None:
    found = re.search(r"expected ',' or '([\]}])'", mistake.problem)
    if found is None:
        return None
    closing, opening = found[1], "[" if found[1] == "]" else "{"
    if mistake.begin is None:
        return _never_closed(opening)
    return (
        f"a `,` or a `{closing}` is missing before this: the `{opening}` of line "
        f"{mistake.begin + 1} is still open"
    )


def _never_closed(opening: str) -> str:
    return f"this `{opening}` is never closed; write its `{_CLOSING[opening]}`"


_CLOSING: Final = {"[": "]", "{": "}"}


def _cannot_start(mistake: Mistake) -> bool:
    return "cannot start any token" in mistake.problem


def _first_character(mistake: Mistake) -> str | None:
    if _cannot_start(mistake) or re.search("scanning an (alias|anchor)", mistake.context):
        return f"text cannot begin with `{mistake.character}`; quote it"
    if mistake.context == "while scanning a block scalar":
        return "a `|` or `>` begins a text of several lines; to write one of them, quote it"
    return None


def _key(mistake: Mistake) -> str | None:
    if not mistake.problem.startswith("mapping values are not allowed"):
        return None
    key = re.fullmatch(r"\s*(?:- +)*([\w.$-]+)\s*", mistake.before)
    if key is None:
        return "a second `: ` in the same value; quote the value"
    return (
        f"`{key[1]}` cannot be a key here; line it up with the keys that it belongs to, or see "
        "whether the line above it lacks a `: `"
    )


def _colon(mistake: Mistake) -> str | None:
    if not re.search("expected ':'", mistake.problem):
        return None
    return "this is no `key: value`; a `: ` is missing"


def _indentation(mistake: Mistake) -> str | None:
    if not re.search("expected (key|'-' indicator|<block end>)", mistake.problem):
        return None
    if mistake.before.strip():
        if mistake.character in ("]", "}"):
            return f"nothing is open that this `{mistake.character}` could close"
        return "the value has ended before this; to make it part of the value, quote all of it"
    if re.match(r"\s*-(\s|$)", mistake.lines[mistake.line]):
        return "an item of a list among keys; its `-` stands below those of the other items"
    said = "the indentation of this line fits nothing above it; line it up with what it belongs to"
    if mistake.context == "while parsing a block collection" and mistake.begin is not None:
        said += f", or begin an item of the list of line {mistake.begin + 1} with `- `"
    return said


def _nothing(mistake: Mistake) -> str | None:
    if "node content" not in mistake.problem:
        return None
    if mistake.character in _CLOSING:  # the file has ended
        return _never_closed(mistake.character)
    return f"a value is missing before this `{mistake.character}`"


def _escape(mistake: Mistake) -> str | None:
    if "unknown escape" not in mistake.problem:
        return None
    written = re.search(r"\\.", mistake.lines[mistake.line][max(0, mistake.column - 1) :])
    return (
        f"`{written[0] if written else chr(92)}` means nothing in double quotes; in single quotes "
        "a backslash is a backslash"
    )


def _quote(mistake: Mistake) -> str | None:
    if mistake.context.endswith("quoted scalar") and "end of stream" in mistake.problem:
        return "this quote is never closed"
    return None


_RULES: Final[Sequence[Callable[[Mistake], str | None]]] = (
    _conflict,
    _slashes,
    _variable,
    _brackets,
    _first_character,
    _key,
    _colon,
    _indentation,
    _nothing,
    _escape,
    _quote,
)


def _open_quote(mistake: Mistake) -> str:
    """A question, if a line above has a quote too few: the parser saw it only much later."""
    for number, line in enumerate(mistake.lines[: mistake.line], 1):
        if line.replace('\\"', "").count('"') % 2 and not re.search("[#']", line):
            return f"; or is a quote in line {number} not closed?"
    return ""
