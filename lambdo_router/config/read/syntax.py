"""
YAML syntax errors in words for those who wrote the file.

YAML's parsers speak of tokens and contexts, and libyaml in other words than the one in Python. Here
their errors become what people did: a variable without quotes, a line with an indentation of its
own, a bracket that is never closed.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """Where a parser gave up, and what it reported. Lines and columns count from 0."""

    problem: str
    context: str
    """What it was doing, such as `while parsing a flow mapping`; may be empty."""
    begin: int | None
    """The line where that begins; None if it is where the parser gave up, or unknown."""
    lines: Sequence[str]
    line: int
    column: int
    """The length of the line for its end."""

    @property
    def character(self) -> str:
        return self.lines[self.line][self.column : self.column + 1]

    @property
    def before(self) -> str:
        """The line up to the character."""
        return self.lines[self.line][: self.column]

    @property
    def cannot_start(self) -> bool:
        return "cannot start any token" in self.problem


def explain_syntax(it: SyntaxProblem) -> tuple[str, str]:
    """Return the code and the message of the diagnostic."""
    if "a tab" in it.problem or (it.cannot_start and it.character == "\t"):
        return "tab", "a tab cannot indent or separate; use spaces"
    text = next(filter(None, (rule(it) for rule in _RULES)), None)
    if text is None:
        text = it.problem
        if it.context and not it.context.endswith("next token"):
            text += f", {it.context}"
            text += f" that begins in line {it.begin + 1}" if it.begin is not None else ""
    return "yaml-syntax", text + _open_quote(it)


def _conflict(it: SyntaxProblem) -> str | None:
    for number, line in enumerate(it.lines, 1):
        if line.startswith("<<<<<<< "):
            return f"git left a merge conflict here, marked from line {number} on"
    return None


def _slashes(it: SyntaxProblem) -> str | None:
    for number, line in enumerate(it.lines[: it.line + 1], 1):
        if line.lstrip().startswith("//"):
            return f"line {number} begins with `//`; a comment begins with `#`"
    return None


def _variable(it: SyntaxProblem) -> str | None:
    if it.character != "{" or not it.before.endswith("$"):
        return None
    found = re.match(r"\$\{[^{}]*\}", it.lines[it.line][it.column - 1 :])
    written = found[0] if found else "${...}"
    return f'a variable inside brackets or braces needs quotes: "{written}"'


_CLOSING: Final = {"[": "]", "{": "}"}


def _brackets(it: SyntaxProblem) -> str | None:
    found = re.search(r"expected ',' or '([\]}])'", it.problem)
    if found is None:
        return None
    closing, opening = found[1], "[" if found[1] == "]" else "{"
    if it.begin is None:
        return _never_closed(opening)
    return (
        f"a `,` or a `{closing}` is missing before this: the `{opening}` of line "
        f"{it.begin + 1} is still open"
    )


def _never_closed(opening: str) -> str:
    return f"this `{opening}` is never closed; write its `{_CLOSING[opening]}`"


def _first_character(it: SyntaxProblem) -> str | None:
    if it.cannot_start or re.search("scanning an (alias|anchor)", it.context):
        return f"text cannot begin with `{it.character}`; quote it"
    if it.context == "while scanning a block scalar":
        return "a `|` or `>` begins a text of several lines; quote it if it is part of the text"
    return None


def _key(it: SyntaxProblem) -> str | None:
    if not it.problem.startswith("mapping values are not allowed"):
        return None
    key = re.fullmatch(r"\s*(?:- +)*([\w.$-]+)\s*", it.before)
    if key is None:
        return "a second `: ` in the same value; quote the value"
    return (
        f"`{key[1]}` cannot be a key here; align it with the keys that it belongs to, or check "
        "whether the line above it lacks a `: `"
    )


def _colon(it: SyntaxProblem) -> str | None:
    missing = "expected ':'" in it.problem
    return "this is not a `key: value`; a `: ` is missing" if missing else None


def _indentation(it: SyntaxProblem) -> str | None:
    if not re.search("expected (key|'-' indicator|<block end>)", it.problem):
        return None
    if it.before.strip():
        if it.character in ("]", "}"):
            return f"there is nothing open for this `{it.character}` to close"
        return "the value has ended before this; to make it part of the value, quote all of it"
    if re.match(r"\s*-(\s|$)", it.lines[it.line]):
        return "an item of a list among keys; align its `-` with those of the other items"
    text = "the indentation of this line fits nothing above it; align it with what it belongs to"
    if it.context == "while parsing a block collection" and it.begin is not None:
        text += f", or begin an item of the list of line {it.begin + 1} with `- `"
    return text


def _nothing(it: SyntaxProblem) -> str | None:
    if "node content" not in it.problem:
        return None
    if it.character in _CLOSING:  # the file has ended
        return _never_closed(it.character)
    return f"a value is missing before this `{it.character}`"


def _escape(it: SyntaxProblem) -> str | None:
    if "unknown escape" not in it.problem:
        return None
    written = re.search(r"\\.", it.lines[it.line][max(0, it.column - 1) :])
    return (
        f"`{written[0] if written else chr(92)}` means nothing in double quotes; in single quotes "
        "a backslash is a backslash"
    )


def _quote(it: SyntaxProblem) -> str | None:
    is_open = it.context.endswith("quoted scalar") and "end of stream" in it.problem
    return "this quote is never closed" if is_open else None


_RULES: Final[Sequence[Callable[[SyntaxProblem], str | None]]] = (
    *(_conflict, _slashes, _variable, _brackets, _first_character, _key, _colon),
    *(_indentation, _nothing, _escape, _quote),
)


def _open_quote(it: SyntaxProblem) -> str:
    """Ask about a line above with a quote too few: the parser noticed it only much later."""
    for number, line in enumerate(it.lines[: it.line], 1):
        if line.replace('\\"', "").count('"') % 2 and not re.search("[#']", line):
            return f"; or is a quote in line {number} not closed?"
    return ""
