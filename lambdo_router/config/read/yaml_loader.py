"""
Parses a YAML file into plain data that knows where everything was written.

Scalars are JSON's: `true`, `false`, `null` (also `~` and nothing at all) and JSON numbers are
typed, and everything else is text, so that `NO`, `on`, `2024-01-01`, `1_000`, `0x1F` and `017` stay
what the author typed. Anchors, aliases, merge keys, tags, duplicate keys and keys that are not text
are refused: each makes a file mean something other than it seems to.

The loader works on PyYAML's events, which are parsed one by one and without recursion, so that
nesting and size are cut off before anything grows. 10,000 routes take about half a second with
libyaml, a third of it libyaml's; without it a few seconds.
"""

import math
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path as FilePath
from typing import Any, Never

import yaml

from lambdo_router.config.diagnostics import ConfigError, Diagnostic, escape
from lambdo_router.config.read.document import Document, Path, Position, place_of, shortened
from lambdo_router.config.read.syntax import SyntaxProblem, explain_syntax
from lambdo_router.config.read.text import (
    MAX_PROBLEMS,
    decoded,
    refuse_odd_characters,
    source_lines,
)
from lambdo_router.core.strict_json import WideNumber, parse_number

MAX_DEPTH = 64
MAX_VALUES = 500_000
"""Some 150 MB of memory."""


def read_document(
    text: str | bytes, file: str, path: FilePath | None = None, noun: str = "the routes file"
) -> Document:
    """
    Parse a YAML file, called `file` in diagnostics; `path` is where it was read, if that differs.

    Raises ConfigError with every problem found, and nothing else, whatever the text holds.
    """
    document, problems = parse_document(text, file, path, noun)
    if document is None or problems:
        raise ConfigError(problems)
    return document


def parse_document(
    text: str | bytes, file: str, path: FilePath | None = None, noun: str = "the routes file"
) -> tuple[Document | None, list[Diagnostic]]:
    """
    Parse a YAML file as far as it goes; return it with the problems found.

    There is no document if a problem hides the rest of the file: broken syntax, characters that
    are not allowed, nesting or size beyond the limits. After any other (a duplicate key, an alias,
    a tag) there is one without the part that was refused, so that it can be checked further.
    """
    try:
        text = decoded(text, file)
        lines = source_lines(text)
        refuse_odd_characters(lines, file)
    except ConfigError as error:
        return None, list(error.diagnostics)
    loader = _Loader(file, lines)
    with suppress(_Abandoned):
        loader.read(text)
        if loader.whole:
            value, cut = loader.value, frozenset(loader.cut)
            at = FilePath(file) if path is None else path
            document = Document(file, value, value, lines, at, noun, cut, _root=loader.root)
            return document, loader.problems
    return None, loader.problems


class _Abandoned(Exception):
    """The rest of the file cannot be read, or should not be."""


@dataclass(slots=True)
class _OpenList:
    at: Position
    value: list[object]
    items: list[Position]


@dataclass(slots=True)
class _OpenMapping:
    at: Position
    value: dict[str, object]
    entries: dict[str, tuple[Position, Position]]
    key_at: Position
    key: str | None = None
    """The key whose value comes next; None if it was refused, so that its value is dropped."""
    expects_key: bool = True


class _Loader:
    """Builds values and positions from events; notes problems and continues where it can."""

    def __init__(self, file: str, lines: Sequence[str]) -> None:
        self.problems: list[Diagnostic] = []
        self.cut: list[Path] = []
        self.value: object = None
        self.root: Position = (0, 0, None, None)
        self.whole = False
        """Whether the file was read to its end."""
        self._file = file
        self._lines = lines
        self._open: list[_OpenList | _OpenMapping] = []
        self._values = 0
        self._documents = 0

    def read(self, text: str) -> None:
        last = yaml.Event()
        try:
            for last in _events(text):
                self._take(last)
            self.whole = True
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            # Python's parser raises these for an escape such as "\\UFFFFFFFF".
            self._note(_position_of(last), "yaml-syntax", f"this is not YAML: {error}")
        if self.value is None and not self.problems:
            self._give_up((0, 0, None, None), "empty-file", "the file holds nothing")

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            position = _position_of(event)
            self._properties(event, position)
            self._add(event, self._scalar(event, position), position)
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self._open.pop()
            self._add(event, done.value, done.at)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._start(event, _position_of(event))
        elif isinstance(event, yaml.AliasEvent):
            position = _position_of(event)
            message = (
                f"aliases like `*{shortened(event.anchor)}` are not allowed; write the value out, "
                "or quote it if it is text"
            )
            self._note(position, "alias", message)
            self._add(event, None, position)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                message = "a second document begins here; a file holds one"
                self._give_up(_position_of(event), "several-documents", message)
            if event.tags:
                self._note(_position_of(event), "tag", "%TAG directives are not allowed")

    def _start(self, event: yaml.CollectionStartEvent, position: Position) -> None:
        self._properties(event, position)
        if len(self._open) == MAX_DEPTH:
            self._give_up(position, "too-deep", f"values are nested over {MAX_DEPTH} deep")
        line, column, _, _ = position
        if isinstance(event, yaml.MappingStartEvent):
            entries: dict[str, tuple[Position, Position]] = {}
            position = (line, column, None, entries)
            self._open.append(_OpenMapping(position, {}, entries, position))
        else:
            items: list[Position] = []
            self._open.append(_OpenList((line, column, None, items), [], items))

    def _properties(
        self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, position: Position
    ) -> None:
        """Count the value, and refuse its anchor and its tag."""
        self._values += 1
        if self._values > MAX_VALUES:
            self._give_up(position, "too-many-values", f"the file has over {MAX_VALUES} values")
        if event.anchor is not None:
            message = (
                f"anchors like `&{shortened(event.anchor)}` are not allowed; remove it, or quote "
                "it if it is text"
            )
            self._note(position, "anchor", message)
        if event.tag is not None:
            written = event.tag.replace("tag:yaml.org,2002:", "!!")
            message = (
                f"tags like `{shortened(written)}` are not allowed; to make text of it, quote it"
            )
            self._note(position, "tag", message)

    def _scalar(self, event: yaml.ScalarEvent, position: Position) -> object:
        text = event.value
        if event.implicit[0]:
            if text in _WORDS:
                return _WORDS[text]
            if text[0] in "-0123456789" and _NUMBER.fullmatch(text):
                return self._number(text, position)
        if not text.isascii() and (half := re.search("[\ud800-\udfff]", text)):
            message = f"{escape(half[0])} is half a character; text must be valid Unicode"
            self._note(position, "character-not-allowed", message)
        return text

    def _number(self, text: str, position: Position) -> int | float | WideNumber:
        """Return the exact number: patterns compare it with what a sender wrote."""
        if len(text) > _LONGEST_NUMBER or math.isinf(float(text)):
            message = "the number is out of range; if it is meant as text, quote it"
            self._note(position, "number-out-of-range", message)
            return 0
        return parse_number(text)

    def _add(self, event: yaml.Event, value: object, position: Position) -> None:
        """Put a finished value where it belongs: root, list, key, or value of a key."""
        if not self._open:
            self.value, self.root = value, position
            return
        into = self._open[-1]
        if isinstance(into, _OpenList):
            into.value.append(value)
            into.items.append(position)
        elif into.expects_key:
            into.key, into.key_at = self._key(event, value, position, into), position
            into.expects_key = False
        else:
            into.expects_key = True
            if into.key is not None:
                into.value[into.key] = value
                into.entries[into.key] = (into.key_at, position)

    def _key(
        self, event: yaml.Event, value: object, position: Position, into: _OpenMapping
    ) -> str | None:
        """Return the key, or None if it is refused."""
        if not isinstance(value, str):
            if isinstance(event, yaml.ScalarEvent):
                message = f"the key `{shortened(event.value)}` is not text; write it in quotes"
                self._note(position, "key-not-text", message)
            elif not isinstance(event, yaml.AliasEvent):
                message = "a key must be text, not a list or a mapping"
                if "{{" in self._lines[position[0]][max(0, position[1] - 1) :]:
                    message += '; to use a variable, write "${NAME}"'
                self._note(position, "key-not-text", message)
            self.cut.append(self._path())
            return None
        if value == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
            message = (
                "merge keys (`<<`) are not allowed; write the keys out, or let a profile start "
                "from another with `extends`"
            )
            self._note(position, "merge-key", message)
            self.cut.append(self._path())
            return None
        if value in into.entries:
            first = into.entries[value][0][0] + 1
            message = f"the key `{shortened(value)}` is already used in line {first}"
            self._note(position, "duplicate-key", message)
            return None
        return sys.intern(value)  # thousands of entries have the same few keys

    def _path(self) -> Path:
        """Return the path of the mapping that is open."""
        steps: list[str | int] = []
        for outer in self._open[:-1]:
            if isinstance(outer, _OpenList):
                steps.append(len(outer.value))
            elif outer.key is not None:
                steps.append(outer.key)
        return tuple(steps)

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        context, begin = error.context or "", error.context_mark
        # Point at the `*` of an alias, and at the beginning of a line that lacks a colon.
        early = re.search("scanning an (alias|anchor)|scanning a (simple key|block)", context)
        line, column = self._inside(begin if early else error.problem_mark or begin)
        if not "".join([self._lines[line][column:], *self._lines[line + 1 :]]).strip():
            # At the end of the file, point at what was opened last.
            if begin is not None and self._inside(begin) < (line, column):
                line, column = self._inside(begin)
            elif self._open:
                line, column, _, _ = self._open[-1].at
            begin = None
        mistake = SyntaxProblem(
            problem=error.problem or "this is not YAML",
            context=context,
            begin=None if begin is None else self._inside(begin)[0],
            lines=self._lines,
            line=line,
            column=column,
        )
        code, message = explain_syntax(mistake)
        end = column + 1 if mistake.character else None
        self._note((line, column, end, None), code, message)

    def _inside(self, mark: yaml.Mark | None) -> tuple[int, int]:
        """Return line and column of the mark; libyaml also has a line after the last."""
        if mark is None:
            return 0, 0
        if mark.line >= len(self._lines):
            return len(self._lines) - 1, len(self._lines[-1])
        return mark.line, min(mark.column, len(self._lines[mark.line]))

    def _note(self, position: Position, code: str, message: str) -> None:
        self.problems.append(place_of(self._file, position).diagnose(code, message))
        if len(self.problems) == MAX_PROBLEMS:
            raise _Abandoned

    def _give_up(self, position: Position, code: str, message: str) -> Never:
        self._note(position, code, message)
        raise _Abandoned


_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LONGEST_NUMBER = 300
"""Characters. Beyond that no float is exact, and reading takes ever longer."""
_TOO_DEEP_FOR_LIBYAML = "exceeded maximum nesting depth"
"""libyaml's error from 0.2.6 on, at 1,000 levels. Python's parser has no limit."""


def _events(text: str) -> Iterator[yaml.Event]:
    """Parse with libyaml if PyYAML was built with it, else with Python, ten times slower."""
    done = 0
    try:
        for event in _parsed(text):
            yield event
            done += 1
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark
        if error.problem != _TOO_DEEP_FOR_LIBYAML:
            raise
        # libyaml has looked ahead, and not reported what is before that place.
        yield from islice(_parsed(text[: mark.index]), done, None)


def _parsed(text: str) -> Iterator[yaml.Event]:
    # yaml.parse asks for each event twice. A loader returns None when there are no more.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        yield from iter(loader.get_event, None)
    finally:
        loader.dispose()


Span = tuple[int, int, int, int]
"""Line and column of the first character and of the first one after it, from 0."""


def scalar_spans(text: str) -> list[Span] | None:
    """
    Return where scalars are; None for a text that is not YAML, or nested too deep.

    A block scalar begins with its `|` or `>`, and ends where a line begins that is not its own.
    """
    spans: list[Span] = []
    depth = 0
    try:
        for event in _events(text):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                return None
            if isinstance(event, yaml.ScalarEvent):
                start: Any = event.start_mark  # parsers always set both; the stubs allow for None
                end: Any = event.end_mark
                spans.append((start.line, start.column, end.line, end.column))
    except (yaml.YAMLError, ValueError, OverflowError):
        return None
    return spans


def _position_of(event: yaml.Event) -> Position:
    """Return where a scalar is. One that spans lines has no end to draw a caret to."""
    start: Any = event.start_mark  # parsers always set both; the stubs allow for None
    end: Any = event.end_mark
    line = start.line
    return (line, start.column, end.column if end.line == line else None, None)
