"""
What variables hold is shown nowhere.

A secret of its own is planted in each key that takes variables, and everything that is printed,
answered, logged and sent is looked through for all of them.
"""

import re
import signal
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest
from admin_process import started
from click.testing import CliRunner
from mock_fly import always, launcher, outcome

from lambdo_router.admin.page.try_message import TryForm, try_message
from lambdo_router.cli import cli
from lambdo_router.config.load import load_routes
from lambdo_router.core.machine import MachineRequest
from lambdo_router.service.loaded import loaded_fact

SHOWN: Final = {
    "APP": "shown-app", "REGION": "iad", "SIZE": "performance-2x", "WINDOW": "2s",
    "ROUTE": "shown-route", "LEVEL": "launch",
}  # fmt: skip
"""Variables in keys whose values are shown: names, and what is one of few words or a number."""
ROUTES: Final = """\
version: 1
queues:
  work: {name: "${S_QUEUE}", role_arn: "arn:aws:iam::123456789012:role/${S_ROLE}",
         endpoint: "http://${S_ENDPOINT}.example", region: eu-west-1, reject_to: rejected}
  rejected: {url: "https://sqs.eu-west-1.amazonaws.com/123456789012/${S_URL}"}
defaults:
  app: ${APP}
  region: ${REGION}
  acknowledge: ${LEVEL}
  env: {INHERITED: "x-${S_DEFAULTS}", PASSWORD: "${S_ENV}"}
profiles:
  worker:
    image: registry.fly.io/${S_IMAGE}:1
    size: ${SIZE}
    command: [run, "--key=${S_COMMAND}"]
    batch_window: ${WINDOW}
    machine:
      metadata: {note: "${S_METADATA}"}
      init: {entrypoint: ["${S_ENTRYPOINT}"]}
      files: [{guest_path: "/x/${S_FILE}", secret_name: KEY}]
routes:
  - name: ${ROUTE}
    queue: work
    match:
      attributes: {kind: ["${S_EXACT}", {prefix: "${S_PREFIX}"}], no: [{anything-but: "${S_BUT}"}]}
      body: {a: "${S_BARE}", $or: [{b: [{wildcard: "*${S_WILD}"}]}, {c: [{suffix: "${S_OR}"}]}]}
      system: {SenderId: [{equals-ignore-case: "${S_SENDER}"}]}
    profile: worker
  - name: chosen
    queue: work
    match: {attributes: {chosen: [{exists: true}]}}
    schema: ${S_SCHEMA}.json
    profile: {extends: worker, env: {OWN: "${S_INLINE}"}}
    overrides:
      image: ["registry.fly.io/${S_GLOB}:*"]
      size: [shared-cpu-1x]
      command: [["${S_PROGRAM}"]]
tests:
  - name: none
    message: {queue: work, attributes: {kind: x}, body: {}}
    expect: {route: shown-route, image: "registry.fly.io/other:1"}
  - name: chosen
    message: {queue: work, attributes: {chosen: "1"}, body: {a: 1}}
    expect: {route: chosen, image: other, command: [other], env: {PASSWORD: other}}
"""
NAMES: Final = sorted(set(re.findall(r"\$\{(S_[A-Z]+)\}", ROUTES)))
SECRETS: Final = {name: f"{name.lower().replace('_', '-')}-h1dden" for name in NAMES}
ENVIRONMENT: Final = {**SHOWN, **SECRETS}
OTHER: Final = re.sub(r"\$\{(S_[A-Z]+)\}", r"${\1}2", ROUTES)
"""The same with another value in each of these keys."""


def leaked(text: str) -> list[str]:
    """Whose secrets are in the text, also where it is escaped or cut."""
    assert text
    return [name for name, secret in SECRETS.items() if secret[:-4].lower() in text.lower()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for file, text in (("routes.yaml", ROUTES), ("other.yaml", OTHER)):
        (tmp_path / file).write_text(text)
    for ending, also in (("", "a"), ("2", "b")):
        schema = f'{{"required": ["a", "{also}"]}}'.replace('"a", "a"', '"a"')
        (tmp_path / f"{SECRETS['S_SCHEMA']}{ending}.json").write_text(schema)
    return tmp_path


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(cli, arguments)
    assert not isinstance(result.exception, Exception), result.exception
    assert result.exit_code in (0, 1, 2), result.output
    assert "Usage:" not in result.output
    return result.output


MATCHING: Final = ["--attribute", f"kind={SECRETS['S_EXACT']}", "--attribute", "no=1"]
"""What the first route asks of attributes: it looks on at the body."""
MESSAGES: Final = {
    "unmatched": ["--body", "{}", "--attribute", "kind=x"],
    "nested": ["--body", '{"a": "x", "b": "x", "c": "x"}', *MATCHING],
    "taken": ["--body", '{"a": 1}', "--attribute", "chosen=1"],
    "resized": ["--body", '{"a": 1}', "--attribute", "chosen=1", "--attribute",
                "size=shared-cpu-1x"],
    "invalid": ["--body", "{}", "--attribute", "chosen=1"],
    "image": ["--body", '{"a": 1}', "--attribute", "chosen=1", "--attribute", "image=nginx"],
    "command": ["--body", '{"a": 1}', "--attribute", "chosen=1", "--attribute", 'command=["x"]'],
}  # fmt: skip
COMMANDS: Final = [
    *(["validate", "routes.yaml", "--format", form] for form in
      ("text", "json", "github", "sarif", "junit")),
    ["routes"],
    ["routes", "--resolved"],
    ["routes", "--format", "json", "--resolved"],
    ["routes", "--graph", "mermaid"],
    ["routes", "--graph", "dot"],
    *(["diff", *files, "--format", form] for files, form in
      product((["routes.yaml", "other.yaml"], ["other.yaml", "routes.yaml"]), ("text", "json"))),
    *(["explain", "--queue", "work", *message, "--format", form]
      for message, form in product(MESSAGES.values(), ("text", "json"))),
    *(["test", "--coverage", "--verbose", "--format", form] for form in ("text", "json", "junit")),
]  # fmt: skip


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.usefixtures("folder")
def test_no_command_prints_what_a_variable_holds(arguments: list[str]) -> None:
    assert leaked(printed(*arguments)) == []


@pytest.mark.parametrize("arguments", [it for it in COMMANDS if it[0] != "test"], ids=" ".join)
def test_nor_if_it_stands_in_an_included_file(folder: Path, arguments: list[str]) -> None:
    for file in ("routes.yaml", "other.yaml"):
        whole = (folder / file).read_text().partition("\ntests:\n")[0]
        queues, _, rest = whole.removeprefix("version: 1\n").partition("defaults:\n")
        defaults, _, routes = rest.partition("profiles:\n")
        (folder / file).write_text(f"version: 1\ninclude: [{file}.d/*.yaml]\ndefaults:\n{defaults}")
        (folder / f"{file}.d").mkdir()
        (folder / f"{file}.d/team.yaml").write_text(f"version: 1\n{queues}profiles:\n{routes}")
    for schema in folder.glob("*.json"):
        for file in ("routes.yaml", "other.yaml"):
            (folder / f"{file}.d" / schema.name).write_bytes(schema.read_bytes())
    assert len(load_routes(folder / "routes.yaml", ENVIRONMENT).table.routes) == 2

    assert leaked(printed(*arguments)) == []


BREAKS: Final = {
    "S_QUEUE": "not a queue", "S_ROLE": "/ no role", "S_ENDPOINT": "no host", "S_URL": "no/url",
    "S_IMAGE": "no image", "S_GLOB": "*:*", "S_SCHEMA": "nowhere", "S_PREFIX": "", "S_WILD": "**",
    "S_SENDER": "", "S_BARE": "> 5", "SIZE": "no size", "WINDOW": "no time", "LEVEL": "no level",
    "APP": "no app", "REGION": "no region",
}  # fmt: skip


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif", "junit"])
@pytest.mark.usefixtures("folder")
def test_what_is_wrong_with_a_value_is_told_without_it(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in BREAKS.items():
        monkeypatch.setenv(name, f"{value} un5hown")

    said = printed("validate", "routes.yaml", "--format", form)
    assert said.count("S_") + said.count("${") > 5
    assert "un5hown" not in said
    assert leaked(said) == []


@pytest.mark.parametrize(
    "arguments", [["routes", "--resolved"], ["routes", "--format", "json"]], ids=" ".join
)
@pytest.mark.usefixtures("folder")
def test_who_asks_for_the_values_gets_them(arguments: list[str]) -> None:
    said = printed(*arguments, "--show-values")
    taken = set(SECRETS) - (set() if "json" in arguments else
                            {"S_QUEUE", "S_ROLE", "S_ENDPOINT", "S_URL"})  # fmt: skip
    assert set(leaked(said)) == taken


@pytest.mark.usefixtures("folder")
def test_variables_are_shown_as_they_are_written() -> None:
    shown = printed("routes", "--format", "json")
    changes = printed("diff", "routes.yaml", "other.yaml")
    for name in NAMES:
        assert f"${{{name}}}" in shown, name
        assert f"${{{name}}}2" in changes, name
    for value in set(SHOWN.values()) - {"launch"}:
        assert value in shown
    assert 'does not meet "${S_BARE}"' in printed(
        *("explain", "--queue", "work", "--body", '{"a": 1, "b": "x"}', *MATCHING)
    )


def form(body: str, attributes: str) -> TryForm:
    return TryForm("work", attributes, body)


@pytest.mark.parametrize(
    "asked",
    [
        form("{}", "kind=x"),
        form('{"a": "x", "b": "x", "c": "x"}', f"no=1\nkind={SECRETS['S_EXACT']}"),
        form('{"a": 1}', "chosen=1"),
        form('{"a": 1}', "chosen=1\nsize=shared-cpu-1x"),
        form("{}", "chosen=1"),
        form('{"a": 1}', "chosen=1\nimage=nginx"),
        form('{"a": 1}', 'chosen=1\ncommand=["x"]'),
    ],
)
def test_the_page_does_not_tell_them(folder: Path, asked: TryForm) -> None:
    table = load_routes(folder / "routes.yaml", ENVIRONMENT).table

    assert leaked(repr(try_message(table, asked, 0.0))) == []


@pytest.mark.real_time
async def test_what_a_reload_changes_is_told_without_them(folder: Path) -> None:
    before, after = (load_routes(folder / f, ENVIRONMENT) for f in ("routes.yaml", "other.yaml"))
    there, back = await loaded_fact(before, after), await loaded_fact(after, before)

    assert len(there.changes) > len(NAMES)
    assert leaked(repr([there, back])) == []


LIVE: Final = """\
version: 1
queues:
  work: {name: work, visibility: 30s, reject_to: rejected}
  rejected: {name: rejected}
defaults: {app: jobs, acknowledge: launch}
profiles:
  worker: {image: "registry.fly.io/${S_IMAGE}:1", env: {A: "${S_ENV}"}, command: ["${S_COMMAND}"]}
routes:
  - {name: exact, queue: work, match: {attributes: {kind: "${S_EXACT}"}}, profile: worker}
  - name: chosen
    queue: work
    match: {attributes: {kind: b}}
    profile: worker
    overrides: {image: ["registry.fly.io/${S_GLOB}:*"], command: [["${S_PROGRAM}"]]}
"""


@pytest.mark.real_time
async def test_a_running_router_does_not_tell_them(tmp_path: Path) -> None:
    changed = re.sub(r"\$\{(S_[A-Z]+)\}", r"${\1}2", LIVE)
    async with started(tmp_path, LIVE, **SECRETS) as running:
        await running.said("queue.opened")
        here = running.here
        here.send("{}", kind="c")
        here.send("{}", kind="b", image="nginx")
        here.send("{}", kind="b", command='["x"]')
        await here.until(lambda: len(here.sqs.queue("rejected").messages()) == 3)
        here.send("{}", kind="b")
        await here.until_launched(1)
        await here.until(here.settled)
        asked = urlencode({"queue": "work", "attributes": "kind=b\nimage=x", "body": "{}"})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        explained = await running.http.post(
            f"{running.url}/explain", content=asked, headers=headers
        )
        (tmp_path / "routes.yaml").write_text(changed)
        reloaded = await running.reload()
        texts = [explained.text, reloaded.text]
        texts += [(await running.get(path)).text for path in ("/status", "/metrics", "/readyz")]
        texts += [(await running.command(*line))[1] for line in (["status"], ["top"])]
        rejections = [repr(it) for it in here.sqs.queue("rejected").messages()]
        running.process.send_signal(signal.SIGTERM)
        _, log = await here.end(running.process)

    assert explained.status_code == 200
    assert "${S_GLOB}" in explained.text.replace("&#36;", "$")
    assert reloaded.json()["outcome"] == "accepted"
    assert "${S_IMAGE}2" in reloaded.text
    assert sum("override_denied" in it for it in rejections) == 2
    for text in (*texts, *rejections, log):
        assert leaked(text) == []


def refusing(said: str) -> Mapping[str, object]:
    return {"json": {"error": said}, "headers": {"fly-request-id": "r"}}


async def test_what_fly_repeats_of_a_request_is_not_told() -> None:
    secrets = (("registry.fly.io/h1dden-app:1", "registry.fly.io/${APP}:1"), ("h1dden", "${KEY}"))
    request = MachineRequest("jobs", "lambdo-a-1", "b", "{}", secrets)
    said = f"failed to get manifest registry.fly.io/h1dden-app:1 {'h1dden ' * 60}"

    error = await outcome(launcher(always(400, **refusing(said))).launch(request))

    assert error.code == "bad_image"
    assert "h1d" not in str(error)
    assert "failed to get manifest registry.fly.io/${APP}:1 ${KEY}" in str(error)
