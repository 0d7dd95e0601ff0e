"""`diff`: files, standard input and revisions of git; as text and as JSON."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lambdo_router.cli import cli

_ROUTES = """\
version: 1
queues:
  q: {name: q, reject_to: r}
  r: {name: r}
defaults: {app: acme, acknowledge: launch, image: "nginx:1"}
profiles:
  small: {batch_size: 5, env: {KEY: "${KEY:-k}"}}
routes:
  - {name: one, queue: q, match: {attributes: {kind: a}}, profile: small}
  - {name: two, queue: q, match: {attributes: {kind: [{prefix: b}]}}, profile: small}
"""
_NEW = """\
version: 1
queues:
  q: {name: q, reject_to: r, visibility: 2m}
  r: {name: r}
defaults: {app: acme, acknowledge: launch, image: "nginx:1"}
profiles:
  small: {batch_size: 7, image: "nginx:2", env: {KEY: "${KEY:-k}"}}
routes:
  - {name: two, queue: q, match: {attributes: {kind: [{prefix: b}]}}, profile: small}
  - {name: one, queue: q, match: {attributes: {kind: [a, bb]}}, profile: small}
  - {name: three, queue: q, match: {attributes: {kind: c}}, profile: {size: performance-1x}}
"""
_TOLD = """\
~ queue `q`
    ~ visibility: "1m" -> "2m"

~ profile `small`, used by routes `two`, `one`
    ~ image: "nginx:1" -> "nginx:2"
    ~ batch_size: 5 -> 7

~ route `one`
    ~ match.attributes.kind: ["a"] -> ["a", "bb"]

+ route `three`, after `one`
    + queue: "q"
    + match.attributes.kind: ["c"]
    + profile: "(written in the route)"
    + app: "acme"
    + image: "nginx:1"
    + size: "performance-1x"
"""
_REST = """\

~ order: route `two` now comes before `one`

Messages that are routed differently:
  ~ b.json: route `two`
      ~ image: "nginx:1" -> "nginx:2"
  ~ c.json: rejected to `r` (unmatched) -> route `three`

1 added, 3 changed, 0 removed, 1 moved; 2 of 3 messages would be routed differently.
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    (tmp_path / "old.yaml").write_text(_ROUTES)
    (tmp_path / "new.yaml").write_text(_NEW)
    messages = tmp_path / "messages"
    messages.mkdir()
    for kind in ("b", "c", "x"):
        message = {"queue": "q", "attributes": {"kind": kind}, "body": {}}
        (messages / f"{kind}.json").write_text(json.dumps(message))
    return tmp_path


def diff(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["diff", *arguments], input=stdin)


def git(*arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    command = ["git", *identity, *arguments]
    subprocess.run(command, check=True, capture_output=True)


def test_all_that_is_different_is_told_in_order(folder: Path) -> None:
    result = diff("old.yaml", "new.yaml", "--messages", str(folder / "messages"))

    assert result.exit_code == 2
    assert result.stdout.startswith(_TOLD)
    assert result.stdout.endswith(_REST)


def test_the_same_is_no_difference() -> None:
    result = diff("old.yaml", "old.yaml", "--messages", "messages")

    assert (result.exit_code, result.stdout) == (
        0,
        "No difference in meaning between old.yaml and old.yaml; 3 messages routed alike.\n",
    )


def test_one_of_the_two_may_be_standard_input() -> None:
    assert diff("-", "old.yaml", stdin=_ROUTES).exit_code == 0
    assert diff("old.yaml", "-", stdin=_NEW).exit_code == 2


def test_the_json_has_everything_and_keeps_its_shape() -> None:
    result = diff("old.yaml", "new.yaml", "--messages", "messages", "--format", "json")

    told: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == 2
    assert list(told) == [
        "format_version", "old", "new", "different", "summary", "changes", "moves", "messages"
    ]  # fmt: skip
    assert (told["format_version"], told["old"], told["different"]) == ("1.0", "old.yaml", True)
    assert told["summary"] == {
        "added": 1, "changed": 3, "removed": 0, "moved": 1, "messages": 3, "messages_changed": 2
    }  # fmt: skip
    assert told["changes"][0] == {
        "action": "changed", "kind": "queue", "name": "q", "routes": [], "behind": None,
        "differences": [{"key": "visibility", "old": "1m", "new": "2m"}],
    }  # fmt: skip
    assert told["moves"] == [
        {"route": "two", "where": "before", "others": ["one"], "certain": True}
    ]
    assert told["messages"][1] == {
        "file": "c.json",
        "old": {"outcome": "rejected", "route": None, "reason": "unmatched", "to": "r"},
        "new": {"outcome": "batched", "route": "three", "reason": None, "to": None},
        "differences": [],
    }


def test_a_message_whose_queue_is_gone_fares_otherwise() -> None:
    Path("new.yaml").write_text(_ROUTES.replace("q: {name: q,", "p: {name: q,")
                                .replace("queue: q", "queue: p"))  # fmt: skip

    result = diff("old.yaml", "new.yaml", "--messages", "messages")

    assert "  ~ b.json: route `two` -> no such queue\n" in result.stdout


def test_secrets_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "s3cr3t")
    Path("new.yaml").write_text(_ROUTES.replace("${KEY:-k}", "plain"))

    result = diff("old.yaml", "new.yaml")

    assert "s3cr3t" not in result.output
    assert '    ~ env.KEY: "${KEY:-k}" -> "plain"\n' in result.stdout


def test_revisions_are_read_with_all_that_belongs_to_them(folder: Path) -> None:
    deploy = folder / "deploy"
    (deploy / "routes.d" / "team").mkdir(parents=True)
    (folder / "schemas").mkdir()
    (deploy / "routes.yaml").write_text(
        'version: 1\ninclude: ["routes.d/*/*.yaml"]\nqueues: {q: {name: q}}\n'
        "defaults: {app: acme, acknowledge: launch, image: nginx:1}\n"
        "profiles: {p: {}}\nroutes:\n  - {name: last, queue: q, profile: p}\n"
    )
    (deploy / "routes.d" / "team" / "one.yaml").write_text(
        "version: 1\nroutes:\n  - {name: one, queue: q, match: {body: {a: 1}}, profile: p, "
        "schema: ../../../schemas/one.schema.json}\n"
    )
    schema = folder / "schemas" / "one.schema.json"
    schema.write_text('{"$ref": "two.schema.json"}')
    (folder / "schemas" / "two.schema.json").write_text('{"type": "object"}')
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")

    assert diff("HEAD:deploy/routes.yaml", "deploy/routes.yaml").exit_code == 0

    (folder / "schemas" / "two.schema.json").write_text('{"type": "array"}')
    result = diff("HEAD:deploy/routes.yaml", "deploy/routes.yaml")
    assert result.exit_code == 2
    assert "~ route `one`\n    ~ schema: " in result.stdout

    (deploy / "routes.d" / "team" / "one.yaml").unlink()
    result = diff("HEAD:./deploy/routes.yaml", "deploy/routes.yaml")
    assert "- route `one`\n" in result.stdout
    assert diff("HEAD:deploy/routes.yaml", "HEAD:deploy/routes.yaml").exit_code == 0


def test_a_linked_file_of_a_revision_is_followed(folder: Path) -> None:
    (folder / "routes.yaml").symlink_to("old.yaml")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")

    assert diff("HEAD:routes.yaml", "old.yaml").exit_code == 0


def test_a_link_of_a_revision_to_this_machines_disk_is_not_followed(folder: Path) -> None:
    (folder / "linked.yaml").symlink_to((folder / "old.yaml").resolve())
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")

    result = diff("HEAD:linked.yaml", "old.yaml")
    assert result.exit_code == 1
    assert "there is no such file" in result.stderr


def test_errors_in_a_revision_are_told_by_gits_name_for_the_file(folder: Path) -> None:
    (folder / "old.yaml").write_text(_ROUTES.replace("profile: small}", "profile: smal}", 1))
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")

    result = diff("HEAD:old.yaml", "new.yaml")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("HEAD:old.yaml:9:")
    assert "did you mean `small`?" in result.stderr
    assert "9 |   - {name: one" in result.stderr
    assert "/tmp" not in result.stderr


def test_errors_of_both_files_are_told() -> None:
    for name, text in (("old.yaml", _ROUTES), ("new.yaml", _NEW)):
        Path(name).write_text(text.replace("profile: small}", "profile: smal}"))

    result = diff("old.yaml", "new.yaml")

    assert result.exit_code == 1
    assert "old.yaml:9:" in result.stderr
    assert "new.yaml:9:" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "Missing argument 'OLD'", id="nothing"),
        pytest.param(["old.yaml"], "routes.yaml:1:1: there is no such file", id="no-new-file"),
        pytest.param(["-", "-"], "only one of the two can be standard input", id="twice-stdin"),
        pytest.param(
            ["old.yaml", "new.yaml", "--messages", "gone"],
            "'gone' does not exist",
            id="no-messages",
        ),
        pytest.param(
            ["nope:old.yaml", "new.yaml"],
            "nope:old.yaml: git has no revision 'nope' here; name a commit, a branch or a tag",
            id="no-revision",
        ),
        pytest.param(
            ["--", "-x:old.yaml", "new.yaml"], "git has no revision '-x' here", id="an-option"
        ),
        pytest.param(
            ["HEAD:gone.yaml", "new.yaml"],
            "HEAD:gone.yaml: revision HEAD has no file 'gone.yaml'",
            id="no-such-file-there",
        ),
        pytest.param(
            ["HEAD:deep.yaml", "new.yaml"],
            "revision HEAD has no file 'deep.yaml'; did you mean HEAD:./deep.yaml, the one in this "
            "folder?",
            id="path-from-here",
        ),
        pytest.param(["HEAD:", "new.yaml"], "revision HEAD has no file ''", id="no-path"),
        pytest.param(
            ["HEAD:../../up.yaml", "new.yaml"], "revision HEAD has no file", id="above-the-root"
        ),
    ],
)
def test_what_cannot_be_compared_exits_with_1_for_2_says_different(
    folder: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = folder / "inner"
    inner.mkdir()
    for name, text in (("old", _ROUTES), ("new", _NEW), ("deep", _ROUTES)):
        (inner / f"{name}.yaml").write_text(text)
    git("init", "-q")
    git("add", "inner")
    git("commit", "-qm", "one")
    monkeypatch.chdir(inner)

    result = diff(*arguments)

    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr


def test_without_a_repository_git_says_so(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))

    result = diff("HEAD:old.yaml", "new.yaml")

    assert result.exit_code == 1
    assert "not a git repository" in result.stderr


def test_without_git_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    result = diff("HEAD:old.yaml", "new.yaml")

    assert result.exit_code == 1
    assert "error: git cannot be run: No such file or directory" in result.stderr
