"""
Warnings that their author has read, and means to keep.

A comment `# lambdo: ignore=CODE` (or `CODE,CODE`; a reason may follow) takes the warnings of that
code from the line it ends, or, alone on a line, from the next line that holds something. Errors
stay: a routes file that cannot be run does not become one by a comment. What is wrong with the
comments themselves is said as a warning, so that none outlives its reason: that one has nothing to
ignore is only told where everything is known, not while errors or unset variables keep checks from
being made.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lambdo_router.config.codes import ONLINE, catalogue, likely
from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.read.comments import Comment, comments

_ASKS = re.compile(r"(?:^|(?<=[ \t]))#[ \t]*lambdo:[ \t]*ignore\b(.*)")
_CODES = re.compile(r"[ \t]*=[ \t]*([\w-]+(?:[ \t]*,[ \t]*[\w-]+)*)(?=[ \t]|$)")
_CODE = re.compile(r"[\w-]+")
_INCOMPLETE = frozenset({"missing-variable"})
"""Warnings that say that some checks could not be made."""


@dataclass(frozen=True, slots=True)
class _Ignore:
    """One code of one comment; `column`, from 1, is the code's own."""

    file: str
    line: int
    column: int
    code: str
    target: int
    """The line whose warnings are meant."""
    certain: bool
    """Whether that line says the same whatever the variables are."""

    def remark(self, code: str, message: str, hint: str) -> Diagnostic:
        """What is wrong with it, as a warning at the code."""
        end = self.column + len(self.code)
        return Diagnostic(self.file, self.line, self.column, code, message, "warning", end, hint)


def without_ignored(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, Sequence[str]]
) -> tuple[Diagnostic, ...]:
    """
    The diagnostics, less the warnings that comments ask to ignore, plus what is wrong with those
    comments; by position.

    `sources` are the lines of each YAML file by its name in the diagnostics.
    """
    found = sorted(diagnostics)
    ignores, malformed = _comments(sources)
    if not ignores:
        return tuple(sorted([*found, *malformed]))
    complete = all(one.severity == "warning" and one.code not in _INCOMPLETE for one in found)
    at = _by_place(found)
    ignored = _ignored(ignores, at)
    for ignore in ignores:
        meant = at.get((ignore.file, ignore.target, ignore.code), [])
        malformed += _wrong(ignore, meant, complete=complete)
    return tuple(sorted([*(one for one in found if one not in ignored), *malformed]))


def not_ignored(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, Sequence[str]]
) -> tuple[Diagnostic, ...]:
    """The same, but for what is wrong with the comments: where that has been said already."""
    found = sorted(diagnostics)
    ignores, _ = _comments(sources)
    ignored = _ignored(ignores, _by_place(found))
    return tuple(one for one in found if one not in ignored)


_ByPlace = Mapping[tuple[str, int, str], Sequence[Diagnostic]]
"""Diagnostics by file, line and code."""


def _by_place(found: Iterable[Diagnostic]) -> _ByPlace:
    at: dict[tuple[str, int, str], list[Diagnostic]] = defaultdict(list)
    for one in found:
        at[one.file, one.line, one.code].append(one)
    return at


def _ignored(ignores: Iterable[_Ignore], at: _ByPlace) -> set[Diagnostic]:
    return {
        one
        for ignore in ignores
        for one in at.get((ignore.file, ignore.target, ignore.code), [])
        if one.severity == "warning"
    }


def _comments(sources: Mapping[str, Sequence[str]]) -> tuple[list[_Ignore], list[Diagnostic]]:
    """What comments ask to ignore, and what is wrong with some that seem to."""
    ignores: list[_Ignore] = []
    malformed: list[Diagnostic] = []
    for file in sorted(sources):
        for comment in comments(sources[file], _may_ask):
            asked = list(_asked(file, comment, sources[file]))
            malformed += [one for one in asked if isinstance(one, Diagnostic)]
            ignores += [one for one in asked if isinstance(one, _Ignore)]
    return ignores, malformed


def _may_ask(line: str) -> bool:
    return "lambdo:" in line and _ASKS.search(line) is not None


def _asked(file: str, comment: Comment, lines: Sequence[str]) -> Iterator[_Ignore | Diagnostic]:
    """What the comment asks to ignore; nothing if it is about something else."""
    asks = _ASKS.search(comment.text)
    if asks is None:
        return
    codes = _CODES.match(asks[1])
    if codes is None:
        column, end = comment.column + asks.start(), comment.column + len(comment.text)
        code, message = "malformed-ignore", "this comment ignores nothing"
        hint = "write # lambdo: ignore=CODE, or CODE,CODE, with codes as they stand in brackets"
        yield Diagnostic(file, comment.line, column, code, message, "warning", end, hint)
        return
    target = _next_line(lines, comment.line) if comment.alone else comment.line
    certain = target > len(lines) or "${" not in lines[target - 1]
    for named in _CODE.finditer(codes[1]):
        column = comment.column + asks.start(1) + codes.start(1) + named.start()
        yield _Ignore(file, comment.line, column, named[0], target, certain)


def _next_line(lines: Sequence[str], line: int) -> int:
    """The next line that holds more than a comment; both from 1."""
    later = range(line, len(lines))
    return next((n + 1 for n in later if lines[n].strip() and lines[n].lstrip()[0] != "#"), line)


def _wrong(ignore: _Ignore, meant: Sequence[Diagnostic], *, complete: bool) -> Iterator[Diagnostic]:
    known = catalogue().get(ignore.code)
    if known is None:
        message = f"there is no code `{ignore.code}`"
        yield ignore.remark("unknown-code", message, likely(ignore.code))
    elif "warning" not in known.severities or any(one.severity == "error" for one in meant):
        message = f"`{ignore.code}` is an error, and errors cannot be ignored"
        hint = "mend it, and remove this comment" if meant else "remove this comment"
        yield ignore.remark("cannot-ignore", message, hint)
    elif not meant and complete and ignore.certain and known.section != ONLINE:
        message = f"there is no warning `{ignore.code}` in line {ignore.target} to ignore"
        yield ignore.remark("unused-ignore", message, "remove this comment")
