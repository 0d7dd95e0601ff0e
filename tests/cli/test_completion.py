"""What a shell is told when somebody presses the tab key."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from lambdo_router.cli import COMMANDS, cli

_ROUTES = """\
version: 1
include: [routes.d/*.yaml, 5, /etc/*.yaml]
queues:
  orders: {name: orders}
  uploads: {name: uploads}
  "odd name": {name: x}
profiles: {p: {image: x}}
routes:
  - {name: paid, queue: orders, profile: p}
  - not a route
  - {name: 5, queue: orders, profile: p}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "routes.yaml").write_text(_ROUTES)
    (tmp_path / "routes.d").mkdir()
    (tmp_path / "routes.d" / "team.yaml").write_text(
        "version: 1\nqueues: {more: {name: m}}\nroutes: [{name: theirs, queue: more, profile: p}]\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered(*words: str) -> list[str]:
    """What completes the last of these words."""
    shell = ShellComplete(cli, {}, "lambdo-router", "_LAMBDO_ROUTER_COMPLETE")
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


def test_commands_are_offered_without_importing_them() -> None:
    code = (
        "import sys\n"
        "from click.shell_completion import ShellComplete\n"
        "from lambdo_router.cli import cli\n"
        "shell = ShellComplete(cli, {}, 'lambdo-router', 'X')\n"
        "print(*[item.value for item in shell.get_completions([], '')])\n"
        "print([name for name in sys.modules if name.startswith('lambdo_router.cli.')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == [" ".join(COMMANDS), "[]"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["va"], ["validate"], id="command"),
        pytest.param(["--ver"], ["--version"], id="option-of-the-group"),
        pytest.param(
            ["send", "--queue", ""], ["more", "orders", "uploads"], id="queues-of-all-files"
        ),
        pytest.param(["explain", "--queue", "up"], ["uploads"], id="queues-that-begin-so"),
        pytest.param(["routes", "--route", ""], ["paid", "theirs"], id="routes"),
        pytest.param(
            ["routes", "routes.d/team.yaml", "--route", ""], ["theirs"], id="of-a-named-file"
        ),
        pytest.param(["routes", "gone.yaml", "--queue", "o"], ["orders"], id="of-no-such-file"),
        pytest.param(["routes", "--graph", ""], ["mermaid", "dot"], id="choices"),
        pytest.param(["explain", "--sho"], ["--show-values"], id="options"),
        pytest.param(["completion", ""], ["bash", "zsh", "fish"], id="shells"),
    ],
)
def test_what_is_offered(words: list[str], expected: list[str]) -> None:
    assert offered(*words) == expected


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"version: 1\nqueues: {orders: {", id="half-written"),
        pytest.param(b"\xff\xfe\x00", id="no-text"),
        pytest.param(b"[1, 2]", id="a-list"),
        pytest.param(b"queues: 5\nroutes: 5\ninclude: ['/x', '**', '']", id="wrong-types"),
        pytest.param(b"queues: {q: {}} #" + b" " * 300_000, id="too-large-to-be-quick"),
        pytest.param(None, id="no-file"),
    ],
)
def test_a_file_that_cannot_be_used_offers_nothing(folder: Path, content: bytes | None) -> None:
    file = folder / "routes.yaml"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)

    assert offered("send", "--queue", "") == []
    assert offered("routes", "--route", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_asks_this_program_and_says_how_to_keep_it(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell])

    assert result.exit_code == 0
    assert f"_LAMBDO_ROUTER_COMPLETE={shell}_complete" in result.stdout
    last = result.stdout.splitlines()[-1]
    assert last.startswith("# To enable it in every new shell: ")
    assert f"lambdo-router completion {shell}" in last


def test_bash_completes_with_it() -> None:
    script = f"""
        PATH={Path(sys.executable).parent}:$PATH
        eval "$(lambdo-router completion bash)"
        COMP_WORDS=(lambdo-router explain --queue up)
        COMP_CWORD=3
        _lambdo_router_completion lambdo-router up
        echo "${{COMPREPLY[@]}}"
    """
    command = ["bash", "--norc", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)

    assert (done.stdout, done.stderr) == ("uploads\n", "")


def test_another_shell_is_refused_with_the_list() -> None:
    result = CliRunner().invoke(cli, ["completion", "tcsh"])

    assert result.exit_code == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in result.stderr
