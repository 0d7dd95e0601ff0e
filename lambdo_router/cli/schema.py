"""`schema`: the JSON Schema of routes files, for editors and other tools."""

import click

_ROUTES, _TESTS = "routes.schema.json", "tests.schema.json"


@click.command()
@click.option("--tests", is_flag=True, help="Print the schema of test files, *.test.yaml.")
def command(*, tests: bool) -> None:
    """
    Print the JSON Schema of routes files, the one that `validate` uses.

    An editor with YAML support completes and explains keys, if the first line of the file names the
    schema, relative to that file:

    \b
      # yaml-language-server: $schema=schemas/routes.schema.json

    \b
      lambdo-router schema > schemas/routes.schema.json
      lambdo-router schema --tests > schemas/tests.schema.json

    Exit codes: 0 printed, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    from lambdo_router.config.read.shape import schema_text

    click.echo(schema_text(_TESTS if tests else _ROUTES), nl=False)
