"""
The files that routes are written in: one, or one that includes others.

A `Part` is one of these files, as it was written and with its variables filled in. It speaks of
what stands in it the way its author would: messages quote what was typed, so that no value of a
variable is ever printed. Paths are those of this file alone; draft.py puts the parts together.
"""

from dataclasses import dataclass, field
from pathlib import Path as FilePath

from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.read.document import Document, Path
from lambdo_router.config.read.shape import SchemaViolation, found, value_at
from lambdo_router.core.strict_json import WideNumber


@dataclass(frozen=True, slots=True)
class Part:
    """One file. What it names (schemas, bodies of test messages) is relative to its folder."""

    path: FilePath
    written: Document = field(repr=False)
    """Before its variables were filled in."""
    document: Document = field(repr=False)

    def is_written(self, path: Path) -> bool:
        """Whether the author wrote anything there, be it broken."""
        try:
            value_at(self.document.value, path)
        except (LookupError, TypeError):
            return False
        return True

    def keys(self, path: Path) -> tuple[str, ...]:
        """The keys of the mapping at `path`, also those of broken values; none if it is none."""
        value = value_at(self.document.value, path) if self.is_written(path) else None
        return tuple(value) if isinstance(value, dict) else ()

    def diagnostic(self, misfit: SchemaViolation) -> Diagnostic:
        """The mistake of shape, at its place."""
        return self.document.diagnostic(
            misfit.path, misfit.code, misfit.message, on=misfit.on, hint=misfit.hint
        )

    def as_written(self, path: Path) -> object:
        """The value at `path` before variables were filled in."""
        return value_at(self.written.value, path)

    def shown(self, path: Path) -> str:
        """What stands at `path`, in words, as the author wrote it."""
        value = self.as_written(path)
        if isinstance(value, int | float | WideNumber) and not isinstance(value, bool):
            return f"the number {self.source(path)}"
        return found(value)

    def source(self, path: Path) -> str:
        """The scalar at `path`, letter by letter; empty if it is none on one line."""
        return self.written.source(path)

    def holds_variable(self, path: Path) -> bool:
        """Whether the text at `path` has a variable in it."""
        value = self.as_written(path)
        return isinstance(value, str) and "${" in value

    def is_resolved(self, path: Path) -> bool:
        """False where a variable is not set: what the text will be is not known."""
        return path not in self.document.unresolved

    def describe(self, path: Path) -> str:
        """What people call the thing at `path`: "queue `orders`", "`visibility`"."""
        match path:
            case ():
                return "the routes file"
            case ("queues", name):
                return f"queue `{name}`"
            case ("profiles", name):
                return f"profile `{name}`"
            case ("routes" | "tests" as section, int(index)):
                return self._entry(section, index)
            case (*above, int(index)):
                return f"item {index + 1} of {self.describe(tuple(above))}"
            case _:
                return f"`{path[-1]}`"

    def _entry(self, section: str, index: int) -> str:
        """A route or a test, by its name; by its number in this file if it has none."""
        noun, path = section.removesuffix("s"), (section, index, "name")
        name = self.as_written(path) if self.is_written(path) else None
        return f"{noun} `{name}`" if isinstance(name, str) and name else f"{noun} {index + 1}"
