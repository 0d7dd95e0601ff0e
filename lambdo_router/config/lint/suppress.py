"""
Comments that suppress intended warnings.

`# lambdo: ignore=CODE` (or `CODE,CODE`; a reason may follow) suppresses warnings of that code on
its line, or, alone on a line, on the next line that is not empty. Errors cannot be suppressed.
Problems of the comments themselves are warnings, so that none outlives its reason. A comment with
nothing to suppress is reported only if all checks were made: not with errors or unset variables.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lambdo_router.config.codes import ONLINE, catalogue, likely
from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.read.comments import Comment, comments

_ASKS = re.compile(r"(?:^|(?<=[ \t]))#[ \t]*lambdo:[ \t]*ignore\b(.*)")
_CODES = re.compile(r"[ \t]*=[ \t]*([\w-]+(?:[ \t]*,[ \t]*[\w-]+)*)(?=[ \t]|$)")
_CODE = re.compile(r"[\w-]+")
_INCOMPLETE = frozenset({"missing-variable"})
"""Warnings which mean that some checks could not be made."""


@dataclass(frozen=True, slots=True)
class _Ignore:
    """One code of one comment; `column`, from 1, is where the code is."""

    file: str
    line: int
    column: int
    code: str
    target: int
    """The line whose warnings it suppresses."""
    certain: bool
    """Whether that line is the same whatever the variables are."""

    def matching(self, found: Sequence[Diagnostic]) -> list[Diagnostic]:
        """Return the diagnostics of its code on its line."""
        at = (self.file, self.target, self.code)
        return [one for one in found if (one.file, one.line, one.code) == at]

    def as_warning(self, code: str, message: str, hint: str) -> Diagnostic:
        """Return a warning at the code."""
        end = self.column + len(self.code)
        return Diagnostic(self.file, self.line, self.column, code, message, "warning", end, hint)


def without_ignored(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, Sequence[str]]
) -> tuple[Diagnostic, ...]:
    """
    Remove the warnings that comments suppress, and add the problems of those comments, by position.

    `sources` has the lines of each YAML file by its name in the diagnostics.
    """
    found = sorted(diagnostics)
    comments_found = _comments(sources)
    complete = all(one.severity == "warning" and one.code not in _INCOMPLETE for one in found)
    problems: list[Diagnostic] = []
    for one in comments_found:
        if isinstance(one, _Ignore):
            problems += _problems(one, one.matching(found), complete=complete)
        else:
            problems.append(one)
    return tuple(sorted([*_left(found, comments_found), *problems]))


def not_ignored(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, Sequence[str]]
) -> tuple[Diagnostic, ...]:
    """Remove the warnings that comments suppress, without reporting problems of the comments."""
    return tuple(_left(sorted(diagnostics), _comments(sources)))


def _left(
    found: Sequence[Diagnostic], asked: Sequence[_Ignore | Diagnostic]
) -> Iterator[Diagnostic]:
    ignored = {(one.file, one.target, one.code) for one in asked if isinstance(one, _Ignore)}
    for one in found:
        if one.severity == "error" or (one.file, one.line, one.code) not in ignored:
            yield one


def _comments(sources: Mapping[str, Sequence[str]]) -> list[_Ignore | Diagnostic]:
    """Return what comments suppress, and the malformed ones."""
    return [
        one
        for file in sorted(sources)
        for comment in comments(sources[file], _may_ask)
        for one in _asked(file, comment, sources[file])
    ]


def _may_ask(line: str) -> bool:
    return "lambdo:" in line and _ASKS.search(line) is not None


def _asked(file: str, comment: Comment, lines: Sequence[str]) -> Iterator[_Ignore | Diagnostic]:
    """Yield what the comment suppresses, or that it is malformed; nothing if it is another one."""
    asks = _ASKS.search(comment.text)
    if asks is None:
        return
    codes = _CODES.match(asks[1])
    if codes is None:
        column, end = comment.column + asks.start(), comment.column + len(comment.text)
        code, message = "malformed-ignore", "this comment ignores nothing"
        hint = (
            "write # lambdo: ignore=CODE, or CODE,CODE, with the codes in brackets after messages"
        )
        yield Diagnostic(file, comment.line, column, code, message, "warning", end, hint)
        return
    target = _next_line(lines, comment.line) if comment.alone else comment.line
    certain = target > len(lines) or "${" not in lines[target - 1]
    for named in _CODE.finditer(codes[1]):
        column = comment.column + asks.start(1) + codes.start(1) + named.start()
        yield _Ignore(file, comment.line, column, named[0], target, certain)


def _next_line(lines: Sequence[str], line: int) -> int:
    """Return the next line with more than a comment; both count from 1."""
    later = range(line, len(lines))
    return next((n + 1 for n in later if lines[n].strip() and lines[n].lstrip()[0] != "#"), line)


def _problems(
    ignore: _Ignore, meant: Sequence[Diagnostic], *, complete: bool
) -> Iterator[Diagnostic]:
    known = catalogue().get(ignore.code)
    if known is None:
        message = f"there is no code `{ignore.code}`"
        yield ignore.as_warning("unknown-code", message, likely(ignore.code))
    elif "warning" not in known.severities or any(one.severity == "error" for one in meant):
        message = f"`{ignore.code}` is an error, and errors cannot be ignored"
        hint = "fix it, and remove this comment" if meant else "remove this comment"
        yield ignore.as_warning("cannot-ignore", message, hint)
    elif not meant and complete and ignore.certain and known.section != ONLINE:
        message = f"there is no warning `{ignore.code}` in line {ignore.target} to ignore"
        yield ignore.as_warning("unused-ignore", message, "remove this comment")
