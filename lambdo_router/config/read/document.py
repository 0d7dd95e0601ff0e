"""
A file as plain data that knows where everything stood.

Values and positions are two trees of one shape: what is wrong with a value is said at its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lambdo_router.config.diagnostics import Diagnostic, Severity

Path = tuple[str | int, ...]
"""Where a value is: keys of mappings and indexes of lists, from the root, which is `()`."""

Node = tuple[
    int, int, int | None, "list[Node] | dict[str, tuple[Node, Node]] | None"
]  # a plain tuple: the collector passes over them, and a large file has hundreds of thousands
"""
Where a value stands: line, column and end column, from 0, and the same of what it holds.

A list holds nodes, a mapping a node for each key and one for its value, a scalar None.
"""


@dataclass(frozen=True, slots=True)
class Document:
    """
    One YAML file: `value` is made of dict, list, str, int, float, WideNumber, bool and None.

    `lines` are the source's lines. `cut` holds the paths of mappings from which a key was taken
    because YAML itself was refused there: what they lack may have been meant. `unresolved` holds
    the paths of texts in which a variable could not be filled in: what they will be is not known,
    so checks pass over them. `used` are the variables that were filled in, and the values they got;
    they may be secrets, so a message about a value shows `source(path)`, never the value. `filled`
    are the paths of the texts that they are in, and of everything around these.
    """

    file: str
    value: object = field(repr=False)
    lines: Sequence[str] = field(repr=False)
    cut: frozenset[Path] = frozenset()
    unresolved: frozenset[Path] = frozenset()
    used: Mapping[str, str] = field(default_factory=dict, repr=False)
    filled: frozenset[Path] = frozenset()
    _root: Node = field(default=(0, 0, None, None), repr=False, compare=False)

    def diagnostic(
        self,
        path: Sequence[str | int],
        code: str,
        message: str,
        *,
        on: Literal["value", "key"] = "value",
        severity: Severity = "error",
        hint: str = "",
    ) -> Diagnostic:
        """
        A diagnostic at the value, or at the key, of `path`.

        A path that does not exist stands for its nearest parent that does. Entries of a list and
        the root have no key: their values are pointed at instead.
        """
        key, node, _ = self._find(path)
        at = key if on == "key" else node
        return diagnostic_at(self.file, at, code, message, severity, hint)

    def source(self, path: Sequence[str | int]) -> str:
        """The scalar at `path` as the author wrote it; empty if it is none or has several lines."""
        _, (line, column, end, _), exists = self._find(path)
        return self.lines[line][column:end] if exists and end is not None else ""

    def _find(self, path: Sequence[str | int]) -> tuple[Node, Node, bool]:
        """The key and the value at the longest part of `path` there is, and whether it is all."""
        key = node = self._root
        for step in path:
            inner = node[3]
            if isinstance(step, str) and isinstance(inner, dict) and step in inner:
                key, node = inner[step]
            elif isinstance(step, int) and isinstance(inner, list) and 0 <= step < len(inner):
                key = node = inner[step]
            else:
                return key, node, False
        return key, node, True


def diagnostic_at(
    file: str, node: Node, code: str, message: str, severity: Severity = "error", hint: str = ""
) -> Diagnostic:
    line, column, end, _ = node
    end = None if end is None else end + 1
    return Diagnostic(file, line + 1, column + 1, code, message, severity, end, hint)
