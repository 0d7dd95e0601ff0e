"""
The command line: one module or package per command, imported when the command is called.

The one-line help of each command is here, so that `lambdo-router --help` imports none of them: with
boto3, httpx and the servers that would take a second.
"""

import difflib
import importlib
import sys
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from lambdo_router.core.errors import LambdoError, SettingsError

COMMANDS = {
    "run": "Run the router: turn messages into Machines.",
    "validate": "Check routes files, without network access or credentials.",
    "test": "Run the tests of routes files.",
    "routes": "Show the routes, every effective value, or a graph.",
    "explain": "Show what the router would do with a message, and why.",
    "diff": "Show what differs in meaning between two routes files.",
    "send": "Send a message to a queue of the routes file.",
    "rejected": "Inspect rejected messages and dead letters, and send them back.",
    "status": "Show what a running router does, and what fails.",
    "top": "Watch a running router.",
    "dev": "Run everything on this machine, and watch it.",
    "demo": "Run the example routes with example messages.",
    "init": "Write a working routes file, and everything that belongs to it.",
    "schema": "Print the JSON Schema of routes files.",
    "completion": "Generate shell completion.",
}
"""The one-line help of each command, in the order of the list."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"lambdo_router.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        unknown = args[0] not in COMMANDS and not args[0].startswith("-")
        if unknown and not ctx.resilient_parsing:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else "."
            ctx.fail(
                f"There is no command {args[0]!r}{meant} The commands are: {', '.join(COMMANDS)}."
            )
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # click's own would import every command for its help.
        options = click.Command.shell_complete(self, ctx, incomplete)
        commands = [
            CompletionItem(name, help=text)
            for name, text in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except LambdoError as error:
            ctx.exit(_report(error))


def _report(error: LambdoError) -> int:
    """Print an error of ours on stderr, without a traceback; return the exit code."""
    from lambdo_router.cli.output import printing
    from lambdo_router.config.diagnostics import ConfigError

    if isinstance(error, ConfigError):
        printing.print_diagnostics(error.diagnostics, error.sources)
        return 3 if error.is_unreadable else 1
    printing.print_error(str(error))
    return 2 if isinstance(error, SettingsError) else 1


def _print_version(context: click.Context, _: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click's signature
    if not asked or context.resilient_parsing:
        return
    from lambdo_router.cli.version import version_text

    click.echo(version_text())
    context.exit()


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 fine, 1 a problem was found, 2 wrong usage, 3 a file cannot be read.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version of this program and of the routes file, and exit.",
)
def cli() -> None:
    """Turn events on Amazon SQS into Fly.io Machines, by the routes in a YAML file."""


def main() -> NoReturn:
    """Run `lambdo-router`."""
    sys.exit(cli(prog_name="lambdo-router"))
