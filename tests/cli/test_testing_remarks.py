"""Why a message took its way. Golden texts are in tests/route_tests/failing.test.out."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from lambdo_router.cli import cli
from lambdo_router.cli.test.notes import Note, unset_variables

HEAD = """\
version: 1
queues: {orders: {name: orders}}
profiles: {worker: {app: acme, image: "nginx:1", acknowledge: launch}}
routes:
"""


def notes(routes: list[str], test: str, folder: Path, head: str = HEAD) -> list[str]:
    """What is remarked on the test of such routes, without places."""
    text = "".join(f"  - {{{route}, queue: orders, profile: worker}}\n" for route in routes)
    file = folder / "routes.yaml"
    file.write_text(f"{head}{text}tests: [{{name: a, {test}}}]\n", "utf-8")
    output = CliRunner().invoke(cli, ["test", str(file)], catch_exceptions=False).stdout
    return [line.partition("note: ")[2] for line in output.splitlines() if "note: " in line]


@pytest.mark.parametrize(
    ("fields", "rest"),
    [pytest.param("abcde", "", id="five"), pytest.param("abcdefg", " and 2 more", id="seven")],
)
def test_at_most_five_conditions_are_told(fields: str, rest: str, tmp_path: Path) -> None:
    pattern = ", ".join(f"{name}: 1" for name in fields)
    told = notes(
        [f"name: r, match: {{body: {{{pattern}}}}}"],
        f"message: {{queue: orders, body: {{{pattern}}}}}, expect: {{app: other}}",
        tmp_path,
    )

    assert told == [
        "the message takes route `r`: it matches "
        "body.a: 1, body.b: 1, body.c: 1, body.d: 1, body.e: 1" + rest
    ]


def test_at_most_five_routes_are_told_of_a_message_that_takes_none(tmp_path: Path) -> None:
    told = notes(
        [f"name: r{number}, match: {{body: {{n: {number}}}}}" for number in range(7)],
        "message: {queue: orders, body: {n: 7}}, expect: {app: acme}",
        tmp_path,
    )

    assert told == [
        *(f"it does not match route `r{number}`: body.n: 7 is not {number}" for number in range(5)),
        "it does not match 2 more routes of queue `orders` either",
    ]


def test_a_value_that_depends_on_a_variable_says_which_is_not_set(tmp_path: Path) -> None:
    told = notes(
        ["name: r"],
        'message: {queue: orders}, expect: {size: shared-cpu-2x, image: "nginx:2"}',
        tmp_path,
        head=HEAD.replace("acknowledge", "size: '${SIZE}', acknowledge"),
    )

    assert told[1:] == [
        "variable SIZE is not set in this test; set it in `env` or with --env",
    ]


def test_a_variable_that_is_not_set_is_told_once() -> None:
    texts = ['body.a: "x" is not "${A}"', "${A} and ${B} and ${C:-default}", "${E}"]

    assert list(unset_variables(texts, {"E": "set"})) == [
        Note("variable A is not set in this test; set it in `env` or with --env"),
        Note("variable B is not set in this test; set it in `env` or with --env"),
    ]
