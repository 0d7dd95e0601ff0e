"""
Variables in the texts of a routes file.

`${NAME}` and `${NAME:-default}` are filled in after parsing, once, in each text by itself: a value
can add no structure to the file, become no number and name no other variable. Keys are never
touched. `$${` means a plain `${`. `tests` keep their texts, which are what a sender wrote.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeVar

from lambdo_router.config.diagnostics import Diagnostic, Severity
from lambdo_router.config.read.document import Document, Path, shortened

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<inside>[^}]*)(?P<end>\}?)")
_INSIDE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)
# What Python makes of bytes in the environment that are not UTF-8.
_SURROGATE = re.compile("[\ud800-\udfff]")
_TESTS = ["tests"]

Container = TypeVar("Container", dict[Any, object], list[object])


def substitute(
    document: Document, env: Mapping[str, str], *, missing: Literal["error", "warning"]
) -> tuple[Document, list[Diagnostic]]:
    """
    Fill in the variables of a document; return it with the problems found.

    As in a shell, the default of `${NAME:-default}` applies if NAME is unset or empty, and
    `${NAME}` is missing only if NAME is unset, a problem of severity `missing`. A text with a
    missing variable, or with a `${` that begins none, stays as it is and is `unresolved`.
    """
    work = _Substitution(document, env, missing)
    value = work.rewritten(document.value, [])
    unresolved, filled = frozenset(work.unresolved), frozenset(work.filled)
    changes = replace(document, value=value, unresolved=unresolved, used=work.used, filled=filled)
    return changes, work.problems


def masked(value: object, written: object) -> object:
    """
    Return a value as it may be shown: texts in which a variable was filled in as `written`.

    Texts without a variable stay as they are; a `$${` in them has become `${`.
    """
    if isinstance(value, dict) and isinstance(written, dict):
        return {key: masked(inner, written.get(key)) for key, inner in value.items()}
    if isinstance(value, list) and isinstance(written, list) and len(value) == len(written):
        return list(map(masked, value, written))
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
        """Return the value with its texts filled in; what has no variables is shared."""
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
        if len(self.problems) > problems:
            self.unresolved.add(path)
            return text
        if _names_a_variable(text):
            self.filled |= {path[:steps] for steps in range(len(path) + 1)}
        return filled

    def _filled(self, found: re.Match[str], path: Path) -> str:
        """Return what one `${...}` stands for; anything, with a problem noted, if unknown."""
        inside = found["inside"]
        if inside is None:
            return "${"
        parts = _INSIDE.fullmatch(inside)
        if not found["end"]:
            why = "has no `}`"
        elif parts is None:
            why = "names no variable"
        elif "${" in (parts["default"] or ""):
            why = "has a variable in its default"
        else:
            return self._value(parts["name"], parts["default"], path)
        hint = "write ${NAME} or ${NAME:-default}, and $${ for a plain ${"
        self._note(path, "malformed-variable", f"`{shortened(found[0])}` {why}", hint)
        return ""

    def _value(self, name: str, default: str | None, path: Path) -> str:
        value = self._env.get(name)
        if default is not None and not value:
            value = default
        if value is not None and _SURROGATE.search(value) is None:
            self.used[name] = value
            return value
        name = shortened(name)
        if value is None:
            message = f"the environment variable {name} is not set"
            hint = f"set it, or write a default: ${{{name}:-...}}"
            self._note(path, "missing-variable", message, hint, self._missing)
        else:
            message = f"the value of the environment variable {name} is not UTF-8"
            self._note(path, "variable-not-utf-8", message, "set it to valid text")
        return ""

    def _note(
        self, path: Path, code: str, message: str, hint: str, severity: Severity = "error"
    ) -> None:
        problem = self._document.diagnostic(path, code, message, severity=severity, hint=hint)
        self.problems.append(problem)
