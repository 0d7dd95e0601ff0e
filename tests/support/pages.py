"""The documentation as its tests see it: fenced blocks, tables, headings and links."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "ops").glob("*.md")),
    *sorted((ROOT / "runtimes").glob("*/README.md")),
)
"""Everything that users read."""

_FENCE = re.compile(r"( *)(```+)\s*([^\s`]*)[^`]*")
_HEADING = re.compile(r"(#+) +(.+?)(?: +#+)?")
_COMMENT = re.compile(r"<!-- *(.*?) *-->")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(([^()\s]+)(?: \"[^\"]*\")?\)")
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, without the indentation of its fence."""

    page: str
    line: int
    """Of the opening fence, from 1."""
    language: str
    text: str
    remark: str
    """Of an HTML comment in the line before the fence."""

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table: cells as they are written, stripped."""

    page: str
    line: int
    """Of the header, from 1."""
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A Markdown file."""

    name: str
    """Relative to the project's root."""
    blocks: tuple[Block, ...]
    tables: tuple[Table, ...]
    anchors: frozenset[str]
    """What a link with `#` may name, as GitHub makes it of the headings."""
    prose: str
    """Everything outside fenced blocks, in its lines."""

    @property
    def links(self) -> tuple[str, ...]:
        """The targets of inline links."""
        return tuple(_LINK.findall(_CODE.sub("", self.prose)))

    @property
    def code(self) -> tuple[str, ...]:
        """The code spans, each in one line."""
        return tuple(" ".join(found[2].split()) for found in _CODE.finditer(self.prose))


def read_page(path: Path) -> Page:
    """The page at this path. ValueError for a fence that is never closed."""
    name = path.relative_to(ROOT).as_posix()
    blocks, outside = _separated(name, path.read_text().splitlines())
    headings = [found[2] for line in outside if (found := _HEADING.fullmatch(line))]
    return Page(
        name=name,
        blocks=tuple(blocks),
        tables=tuple(_tables(name, outside)),
        anchors=frozenset(_anchors(headings)),
        prose="\n".join(outside),
    )


def _separated(page: str, lines: Sequence[str]) -> tuple[list[Block], list[str]]:
    """The fenced blocks, and the lines with empty ones in their place."""
    blocks: list[Block] = []
    outside = list(lines)
    at = 0
    while at < len(lines):
        opening = _FENCE.fullmatch(lines[at])
        if opening is None:
            at += 1
            continue
        indent, fence, language = opening.groups()
        end = next((n for n in range(at + 1, len(lines)) if lines[n].strip() == fence), None)
        if end is None:
            raise ValueError(f"{page}:{at + 1}: this block has no end")
        inside = [line.removeprefix(indent) for line in lines[at + 1 : end]]
        remark = _COMMENT.fullmatch(lines[at - 1].strip()) if at else None
        text = "".join(f"{line}\n" for line in inside)
        blocks.append(Block(page, at + 1, language, text, remark[1] if remark else ""))
        outside[at : end + 1] = [""] * (end + 1 - at)
        at = end + 1
    return blocks, outside


def _tables(page: str, lines: Sequence[str]) -> Iterator[Table]:
    at = 0
    while at < len(lines) - 1:
        rule = lines[at + 1].strip()
        if not (lines[at].lstrip().startswith("|") and re.fullmatch(r"[|\-: ]*-[|\-: ]*", rule)):
            at += 1
            continue
        end = at + 2
        while end < len(lines) and lines[end].lstrip().startswith("|"):
            end += 1
        header, _, *rows = map(_cells, lines[at:end])
        yield Table(page, at + 1, header, tuple(rows))
        at = end


def _cells(line: str) -> tuple[str, ...]:
    r"""A pipe separates cells, in code too; `\|` is a pipe."""
    inner = line.strip().removeprefix("|").removesuffix("|")
    cells = re.split(r"(?<!\\)\|", inner)
    return tuple(cell.strip().replace("\\|", "|") for cell in cells)


def span(cell: str) -> str:
    """What stands in the one code span that a cell is made of. ValueError for anything else."""
    found = _CODE.fullmatch(cell)
    if found is None:
        raise ValueError(f"not one code span: {cell}")
    text = found[2]
    return text[1:-1] if text.startswith(" ") and text.endswith(" ") else text


def _anchors(headings: Sequence[str]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for heading in headings:
        text = _LINK.sub(lambda link: link[0][1 : link[0].index("](")], heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        yield f"{slug}-{count}" if count else slug
