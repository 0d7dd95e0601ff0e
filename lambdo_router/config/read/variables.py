"""
Variables in the texts of a routes file.

`${NAME}` and `${NAME:-default}` are filled in after the file is parsed, in each text value by
itself and once: whatever a variable holds, it can add no structure to the file, become no number,
and name no further variable. Keys are never touched. `$${` stands for a plain `${`. The `tests` of
a file stay as they are: a message is what a sender wrote, and no test keeps a router from running.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeVar

from lambdo_router.config.diagnostics import Diagnostic, Severity
from lambdo_router.config.read.document import Document, Path

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<inside>[^}]*)(?P<end>\}?)")
_INSIDE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)
# What Python makes of bytes in the environment that are not UTF-8.
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST_SHOWN = 60
_TESTS = ["tests"]

Container = TypeVar("Container", dict[Any, object], list[object])


def substitute(
    document: Document, env: Mapping[str, str], *, missing: Literal["error", "warning"]
) -> tuple[Document, list[Diagnostic]]:
    """
    The document with its variables filled in, and what is wrong with them.

    As in a shell, the default of `${NAME:-default}` counts when NAME is unset or empty, and
    `${NAME}` is missing only when NAME is unset. A text with a missing variable, or with a `${`
    that begins none, stays as it is and its path is among the new document's `unresolved`; the
    first is a problem of severity `missing`, the second always an error. `used` of the new
    document maps each variable that was filled in to the text it stood for; `filled` says where.
    """
    work = _Substitution(document, env, missing)
    value = work.rewritten(document.value, [])
    unresolved, filled = frozenset(work.unresolved), frozenset(work.filled)
    filled_in = replace(document, value=value, unresolved=unresolved, used=work.used, filled=filled)
    return filled_in, work.problems


def veiled(value: object, written: object) -> object:
    """
    A value as it may be shown to people: each text in which a variable was filled in as written.

    `written` is the same value before. What has no variable in it is shown as it is, a `$${` too.
    """
    if isinstance(value, dict) and isinstance(written, dict):
        return {key: veiled(inner, written.get(key)) for key, inner in value.items()}
    if isinstance(value, list) and isinstance(written, list) and len(value) == len(written):
        return list(map(veiled, value, written))
    if isinstance(value, str) and isinstance(written, str) and _names_a_variable(written):
        return written
    return value


def _names_a_variable(text: str) -> bool:
    return any(found["inside"] is not None for found in _REFERENCE.finditer(text))


class _Substitution:
    def __init__(
        self, document: Document, env: Mapping[str, str], missing: Literal["error", "warning"]
    ) -> None:
        self.problems: list[Diagnostic] = []
        self.unresolved: set[Path] = set()
        self.used: dict[str, str] = {}
        self.filled: set[Path] = set()
        self._document = document
        self._env = env
        self._missing = missing

    def rewritten(self, value: object, path: list[str | int]) -> object:
        """The value with its texts filled in; what holds no variables is shared, not copied."""
        if path == _TESTS:
            return value
        if isinstance(value, str):
            return self._text(value, tuple(path)) if "${" in value else value
        if isinstance(value, dict):
            return self._container(value, value.items(), path)
        if isinstance(value, list):
            return self._container(value, enumerate(value), path)
        return value

    def _container(
        self, value: Container, steps: Iterable[tuple[str | int, object]], path: list[str | int]
    ) -> Container:
        changes: list[tuple[Any, object]] = []
        for step, inner in steps:
            path.append(step)
            new = self.rewritten(inner, path)
            path.pop()
            if new is not inner:
                changes.append((step, new))
        if not changes:
            return value
        copy = value.copy()
        for step, new in changes:
            copy[step] = new
        return copy

    def _text(self, text: str, path: Path) -> str:
        problems = len(self.problems)
        filled = _REFERENCE.sub(lambda found: self._filled(found, path), text)
        if len(self.problems) == problems:
            if _names_a_variable(text):
                self.filled |= {path[:steps] for steps in range(len(path) + 1)}
            return filled
        self.unresolved.add(path)
        return text

    def _filled(self, found: re.Match[str], path: Path) -> str:
        """What one `${...}` stands for; anything, with a problem noted, if that is not known."""
        written, inside = found[0], found["inside"]
        if inside is None:
            return "${"
        if not found["end"]:
            return self._malformed(path, written, "has no `}`")
        parts = _INSIDE.fullmatch(inside)
        if parts is None:
            return self._malformed(path, written, "names no variable")
        if parts["default"] is not None and "${" in parts["default"]:
            return self._malformed(path, written, "has a variable in its default")
        return self._value(parts["name"], parts["default"], path)

    def _value(self, name: str, default: str | None, path: Path) -> str:
        value = self._env.get(name)
        if default is not None and not value:
            value = default
        if value is not None and _SURROGATE.search(value) is None:
            self.used[name] = value
            return value
        name = _short(name)
        if value is None:
            message = f"the environment variable {name} is not set"
            hint = f"set it, or write a default: ${{{name}:-...}}"
            self._note(path, "missing-variable", message, hint, self._missing)
        else:
            message = f"the value of the environment variable {name} is not UTF-8"
            self._note(path, "variable-not-utf-8", message, "set it to valid text")
        return ""

    def _malformed(self, path: Path, written: str, why: str) -> str:
        hint = "write ${NAME} or ${NAME:-default}, and $${ for a plain ${"
        self._note(path, "malformed-variable", f"`{_short(written)}` {why}", hint)
        return ""

    def _note(
        self, path: Path, code: str, message: str, hint: str, severity: Severity = "error"
    ) -> None:
        problem = self._document.diagnostic(path, code, message, severity=severity, hint=hint)
        self.problems.append(problem)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
