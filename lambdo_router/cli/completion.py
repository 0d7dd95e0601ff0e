"""
`completion`: shell completion, and the completion of names in the routes file.

A shell asks at every press of the tab key. So an answer imports nothing heavy, the routes file is
only parsed as YAML and only if it is small, and a file that cannot be read offers no names.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class

if TYPE_CHECKING:  # imported where it is used, to keep completion fast
    from lambdo_router.config.read.document import Document

_PROGRAM = "lambdo-router"
_VARIABLE = "_LAMBDO_ROUTER_COMPLETE"
"""The variable in which click expects the shell's question."""
_MOST_READ = 256 * 1024
"""Bytes of YAML in all files together that parse without a noticeable delay."""
_INSTALLED_BY = {
    "bash": "echo 'eval \"$(lambdo-router completion bash)\"' >> ~/.bashrc",
    "zsh": "echo 'eval \"$(lambdo-router completion zsh)\"' >> ~/.zshrc   # after compinit",
    "fish": "lambdo-router completion fish > ~/.config/fish/completions/lambdo-router.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(_INSTALLED_BY)))
def command(shell: str) -> None:
    """
    Print a script that makes SHELL complete commands, options, files and names of the routes file.

    \b
      echo 'eval "$(lambdo-router completion bash)"' >> ~/.bashrc
      echo 'eval "$(lambdo-router completion zsh)"' >> ~/.zshrc
      lambdo-router completion fish > ~/.config/fish/completions/lambdo-router.fish

    Open a new shell afterwards. In zsh, put the line below the one that calls compinit.

    Exit codes: 0 printed, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    from lambdo_router.cli import cli

    of_shell = get_completion_class(shell)
    if of_shell is None:
        raise click.UsageError(f"this version of click has no completion for {shell}")
    click.echo(of_shell(cli, {}, _PROGRAM, _VARIABLE).source().rstrip("\n"))
    click.echo(f"\n# To enable it in every new shell: {_INSTALLED_BY[shell]}")


def queue_names(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 - click's signature
    incomplete: str,
) -> list[CompletionItem]:
    """Complete the queues of the routes file on the command line, for click."""
    return _offered(ctx, "queues", incomplete)


def route_names(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 - click's signature
    incomplete: str,
) -> list[CompletionItem]:
    """Complete the routes of the routes file on the command line, for click."""
    return _offered(ctx, "routes", incomplete)


def _offered(ctx: click.Context, part: str, incomplete: str) -> list[CompletionItem]:
    path = _routes_file(ctx)
    names = {name for document in _documents(path) for name in _names(document, part)}
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


def _routes_file(ctx: click.Context) -> Path:
    """Return the routes file of a command line that ends before the value to complete."""
    # click stops parsing at an option without a value, and leaves the words in `args`.
    words = [Path(word) for word in ctx.args if word.endswith((".yaml", ".yml"))]
    files = [path for path in words if path.is_file()]
    return files[0] if files else Path(ctx.params.get("routes") or "routes.yaml")


def _names(document: "Document", part: str) -> Iterator[str]:
    """Yield the names in this part of one file, but those a shell would split."""
    value = document.value
    entries = value.get(part) if isinstance(value, dict) else None
    if isinstance(entries, list):
        entries = [entry.get("name") for entry in entries if isinstance(entry, dict)]
    for name in entries if isinstance(entries, list | dict) else ():
        if isinstance(name, str) and name.isprintable() and " " not in name:
            yield name


def _documents(path: Path) -> "Iterator[Document]":
    """Yield the routes file and the files it includes, while they are valid YAML and small."""
    from lambdo_router.config.read.yaml_loader import parse_document

    waiting, room = [path], _MOST_READ
    while waiting:
        file = waiting.pop(0)
        try:
            with file.open("rb") as opened:
                content = opened.read(room + 1)
        except (OSError, ValueError):
            continue
        room -= len(content)
        if room < 0:
            return
        document, _ = parse_document(content, str(file))
        if document is not None:
            yield document
            if file == path:
                waiting += _included(document, path.parent)


def _included(document: "Document", folder: Path) -> list[Path]:
    from lambdo_router.config.read.files import expand, refusal

    value = document.value
    written = value.get("include") if isinstance(value, dict) else None
    globs = [text for text in written if isinstance(text, str)] if isinstance(written, list) else []
    return [path for text in globs if refusal(text) is None for path in expand(folder, text).files]
