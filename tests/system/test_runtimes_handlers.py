"""The shapes of a handler that the runtimes take, and what they say to a file that is none."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from pages import read_page
from runtime_process import LANGUAGES, Batch, Ended, Language, message_id, router

_ROOT = Path(__file__).parents[2]
_BY_NAME = {language.name: language for language in LANGUAGES}


def runnable(name: str) -> Language:
    language = _BY_NAME[name]
    if not language.is_here:
        pytest.skip(f"there is no `{language.interpreter}` on this machine")
    return language


@dataclass(frozen=True, slots=True)
class Source:
    """A handler in a file, perhaps with others beside it."""

    language: str
    file: str
    text: str
    beside: Mapping[str, str]

    def run(self, folder: Path, events: list[object], env: Mapping[str, str]) -> Ended:
        app = folder / "app"
        app.mkdir()
        for name, text in {self.file: self.text, **self.beside}.items():
            (app / name).write_text(text)
        handler = app / self.file
        return Batch(runnable(self.language), folder, events, handler=handler, env=env).run()


def source(
    identity: str, language: str, file: str, text: str, beside: Mapping[str, str] | None = None
) -> object:
    made = Source(language, file, text, beside or {})
    return pytest.param(made, id=f"{language}-{identity}")


_MODULE = {"package.json": '{"type": "module"}'}
_SHOW = "console.log(event.n)"


@pytest.mark.parametrize(
    "handler",
    [
        source("exports", "node", "index.js", f"exports.handler = async (event) => {_SHOW};"),
        source("sync", "node", "index.js", f"exports.handler = function (event) {{ {_SHOW} }};"),
        source(
            "module-exports",
            "node",
            "index.cjs",
            f"module.exports = {{ handler: async (event) => {_SHOW} }};",
        ),
        source("one-function", "node", "index.js", f"module.exports = (event) => {_SHOW};"),
        source("es-module", "node", "index.mjs", f"export const handler = (event) => {_SHOW};"),
        source(
            "package-of-modules",
            "node",
            "index.js",
            f'import "./other.js";\nexport async function handler(event) {{ {_SHOW} }}',
            {**_MODULE, "other.js": ""},
        ),
        source("default", "node", "index.mjs", f"export default async (event) => {_SHOW};"),
        source(
            "default-object",
            "node",
            "index.mjs",
            f"export default {{ handler: (event) => {_SHOW} }};",
        ),
        source(
            "awaited-at-load",
            "node",
            "index.mjs",
            f"await Promise.resolve();\nexport const handler = (event) => {_SHOW};",
        ),
        source(
            "required-from-beside",
            "node",
            "index.js",
            'exports.handler = require("./other.js").show;',
            {"other.js": f"exports.show = (event) => {_SHOW};"},
        ),
        source(
            "keeps-the-loop-busy",
            "node",
            "index.js",
            f"setInterval(() => {{}}, 1000);\nexports.handler = (event) => {_SHOW};",
        ),
        source(
            "closure",
            "php",
            "index.php",
            "<?php return function (array $event) { echo $event['n'], PHP_EOL; };",
        ),
        source(
            "named",
            "php",
            "index.php",
            "<?php function show($event) { echo $event['n'], PHP_EOL; }\nreturn 'show';",
        ),
        source(
            "invokable",
            "php",
            "index.php",
            "<?php class Show { function __invoke($event, $_) { echo $event['n'], PHP_EOL; } }\n"
            "return new Show;",
        ),
        source(
            "method",
            "php",
            "index.php",
            "<?php class Show { static function it($event) { echo $event['n'], PHP_EOL; } }\n"
            "return [Show::class, 'it'];",
        ),
        source(
            "keyed",
            "php",
            "index.php",
            "<?php return ['handler' => fn ($event) => print($event['n'] . PHP_EOL)];",
        ),
        source(
            "required-from-beside",
            "php",
            "index.php",
            "<?php return require __DIR__ . '/other.php';",
            {"other.php": "<?php return fn ($event) => print($event['n'] . PHP_EOL);"},
        ),
        source("function", "python", "main.py", "def handler(event, context): print(event['n'])"),
        source(
            "coroutine", "python", "main.py", "async def handler(event, context): print(event['n'])"
        ),
        source(
            "callable-object",
            "python",
            "main.py",
            "class Show:\n    async def __call__(self, event, context): print(event['n'])\n"
            "handler = Show()",
        ),
        source(
            "returns-a-coroutine",
            "python",
            "main.py",
            "async def show(event, context): print(event['n'])\n"
            "def handler(event, context): return show(event, context)",
        ),
        source(
            "runs-a-loop-itself",
            "python",
            "main.py",
            "import asyncio\nasync def show(event): print(event['n'])\n"
            "def handler(event, context): asyncio.run(show(event))",
        ),
        source(
            "imports-from-beside",
            "python",
            "json_things.py",
            "import json\nfrom other import show\ndef handler(event, context): show(event)",
            {"other.py": "def show(event): print(event['n'])"},
        ),
        source(
            "silences-other-loggers",
            "python",
            "main.py",
            "import logging.config\nlogging.config.dictConfig({'version': 1})\n"
            "def handler(event, context): print(event['n'])",
        ),
        source(
            "runs-as-a-script-too",
            "python",
            "main.py",
            "def handler(event, context): print(event['n'])\n"
            "if __name__ == '__main__': raise SystemExit('run as a script')",
        ),
    ],
)
def test_a_handler_of_this_shape_is_called_for_each_event(handler: Source, tmp_path: Path) -> None:
    run = handler.run(tmp_path, [{"n": 1}, {"n": 2}], {})

    assert (run.exit_code, run.stderr) == (0, "")
    assert run.printed == ["1", "2"]
    assert run.outcomes == {0: "done", 1: "done"}


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        pytest.param(*case.values, said, id=case.id)  # type: ignore[attr-defined]
        for case, said in [
            (source("syntax", "node", "index.js", "exports.handler = ("), "SyntaxError"),
            (source("throws", "node", "index.mjs", "throw new Error('no key')"), "no key"),
            (source("nothing", "node", "index.js", ""), "exports neither `handler` and"),
            (source("no-function", "node", "index.js", "exports.handler = 7"), "exports neither"),
            (
                source(
                    "both", "node", "index.js", "exports.handler = exports.handlerBatch = () => {}"
                ),
                "exports both of",
            ),
            (
                source("exits", "node", "index.js", "process.exit(0)"),
                "while the handler file was loaded",
            ),
            (
                source("never-loads", "node", "index.mjs", "await new Promise(() => {})"),
                "while the handler file was loaded",
            ),
            (source("syntax", "php", "index.php", "<?php return function ("), "ParseError"),
            (
                source("throws", "php", "index.php", "<?php throw new Exception('no key');"),
                "no key",
            ),
            (source("nothing", "php", "index.php", "<?php"), "returns int; return a function"),
            (source("no-function", "php", "index.php", "<?php return 'x y';"), "returns string"),
            (
                source(
                    "both",
                    "php",
                    "index.php",
                    "<?php $f = fn () => 0; return ['handler' => $f, 'handlerBatch' => $f];",
                ),
                "returns array",
            ),
            (
                source("exits", "php", "index.php", "<?php exit(0);"),
                "while the handler file was loaded",
            ),
            (source("syntax", "python", "main.py", "def handler("), "SyntaxError"),
            (source("throws", "python", "main.py", "raise ValueError('no key')"), "no key"),
            (source("nothing", "python", "main.py", ""), "defines neither of `handler`"),
            (source("no-function", "python", "main.py", "handler = 7"), "defines neither"),
            (
                source("both", "python", "main.py", "handler = handler_batch = print"),
                "defines both of",
            ),
            (source("exits", "python", "main.py", "import sys; sys.exit(0)"), "SystemExit: 0"),
            (source("no-python", "python", "main.txt", ""), "its name must end in .py"),
        ]
    ],
)
def test_a_file_that_is_no_handler_fails_the_batch_and_says_why(
    handler: Source, said: str, tmp_path: Path
) -> None:
    with router(200) as there:
        run = handler.run(tmp_path, [{"n": 1}], there.env)

    assert (run.printed, run.outcomes, there.reports) == ([], {}, [])
    assert run.exit_code not in (0, None)
    [error] = run.errors
    assert said in error


@pytest.mark.parametrize("name", list(_BY_NAME))
def test_a_handler_that_is_not_there_fails_the_batch(name: str, tmp_path: Path) -> None:
    run = Batch(runnable(name), tmp_path, [{}], handler=tmp_path / "nowhere.js").run()

    assert run.exit_code == 1
    assert run.errors == [f"there is no handler file {tmp_path / 'nowhere.js'}"]


@pytest.mark.parametrize("name", list(_BY_NAME))
def test_without_a_name_the_handler_is_the_one_of_the_image(name: str, tmp_path: Path) -> None:
    run = Batch(runnable(name), tmp_path, [{}], env={"LAMBDO_HANDLER": ""}).run()

    assert run.exit_code == 1
    assert "there is no handler file /app/" in run.errors[0]


# What only one language can do wrong


@pytest.mark.parametrize(
    ("handler", "failed"),
    [
        pytest.param(*case.values, failed, id=case.id)  # type: ignore[attr-defined]
        for case, failed in [
            (
                # Nothing is left to wait for: Node ends by itself.
                source(
                    "never-settles",
                    "node",
                    "index.js",
                    "exports.handler = () => new Promise(() => {});",
                ),
                [0, 1],
            ),
            (
                source(
                    "throws-elsewhere",
                    "node",
                    "index.js",
                    "exports.handler = () =>"
                    " new Promise(() => setTimeout(() => { throw Error('x'); }));",
                ),
                [0, 1],
            ),
            (
                source(
                    "rejects-elsewhere",
                    "node",
                    "index.js",
                    "exports.handler = async () => {"
                    " Promise.reject(Error('x')); await new Promise(() => {}); };",
                ),
                [0, 1],
            ),
            (
                source(
                    "throws-nothing",
                    "node",
                    "index.js",
                    "exports.handler = async () => { throw null; };",
                ),
                [0, 1],
            ),
            (
                source(
                    "out-of-memory",
                    "php",
                    "index.php",
                    "<?php ini_set('memory_limit', '8M'); return function () { $a = [];"
                    " while (true) { $a[] = str_repeat('x', 1 << 20); } };",
                ),
                [0, 1],
            ),
            (
                source(
                    "exits-late",
                    "php",
                    "index.php",
                    "<?php register_shutdown_function(fn () => exit(0)); return fn () => exit(0);",
                ),
                [0, 1],
            ),
            (
                source(
                    "wants-no-array",
                    "php",
                    "index.php",
                    "<?php return function (string $event) {};",
                ),
                [0, 1],
            ),
            (
                # The child of the first event comes back from the function, as the parent does.
                source(
                    "forks",
                    "php",
                    "index.php",
                    "<?php return function ($event) {"
                    " if ($event['n'] === 1 && pcntl_fork() > 0) { pcntl_wait($s); } };",
                ),
                [],
            ),
            (
                source(
                    "forks",
                    "python",
                    "main.py",
                    "import os, sys\ndef handler(event, context):\n"
                    "    if event['n'] == 1:\n"
                    "        child = os.fork()\n"
                    "        os.waitpid(child, 0) if child else sys.exit(0)\n",
                ),
                [],
            ),
            (
                source(
                    "exits-in-a-task",
                    "python",
                    "main.py",
                    "import asyncio, sys\nasync def leave(): sys.exit(0)\n"
                    "async def handler(event, context): await asyncio.create_task(leave())",
                ),
                [0, 1],
            ),
            (
                source(
                    "interrupted",
                    "python",
                    "main.py",
                    "def handler(event, context): raise KeyboardInterrupt",
                ),
                [0, 1],
            ),
            (source("wants-one-argument", "python", "main.py", "def handler(event): pass"), [0, 1]),
        ]
    ],
)
def test_no_event_is_taken_for_done_that_is_not(
    handler: Source, failed: list[int], tmp_path: Path
) -> None:
    with router(200) as there:
        run = handler.run(tmp_path, [{"n": 1}, {"n": 2}], there.env)

    assert there.failed == ([[message_id(n) for n in failed]] if failed else [])
    assert [n for n, outcome in run.outcomes.items() if outcome == "failed"] == failed
    assert len(run.outcomes) == 2
    assert run.exit_code == 0


def test_children_that_nobody_waits_for_are_heard_all_the_same(tmp_path: Path) -> None:
    text = (
        "<?php pcntl_signal(SIGCHLD, SIG_IGN);"
        " return function ($event) { if ($event['n'] === 2) { exit(0); } };"
    )
    with router(200) as there:
        env = {"LAMBDO_CONCURRENCY": "2", **there.env}
        events: list[object] = [{"n": 1}, {"n": 2}, {"n": 3}]
        run = Source("php", "index.php", text, {}).run(tmp_path, events, env)

    assert run.outcomes == {0: "done", 1: "failed", 2: "done"}
    assert there.failed == [[message_id(1)]]


# The sample projects, as their READMEs run them


@pytest.mark.parametrize("name", list(_BY_NAME))
def test_a_sample_project_does_what_its_readme_shows(name: str, tmp_path: Path) -> None:
    language = runnable(name)
    project = tmp_path / "sample-project"
    shutil.copytree(_ROOT / "runtimes" / name / "sample-project", project)
    [handler] = (project / "src").iterdir()
    events = json.loads((project / "events.json").read_text())
    run = Batch(language, tmp_path, events, messages=None, handler=handler).run()

    assert (run.exit_code, run.stderr) == (0, "")
    assert run.outcomes == {0: "done", 1: "done"}
    [shown] = [
        block.text.splitlines()
        for block in read_page(_ROOT / "runtimes" / name / "README.md").blocks
        if block.language == "console"
    ]
    assert shown[1].startswith("$ EVENTS_PATH=events.json ")
    assert shown[1].endswith(f"../{language.runtime.name}")
    assert [line for line in shown[2:] if not line.startswith("{")] == run.printed
    lines = [json.loads(line) for line in shown[2:] if line.startswith("{")]
    assert list(map(list, lines)) == list(map(list, run.logged))
    instructions = [
        line
        for line in (project / "Dockerfile").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert instructions == [
        f"ARG BASE_IMAGE=lambdo-{name}",
        "FROM ${BASE_IMAGE}",
        "COPY src/ /app/",
    ]


@pytest.mark.parametrize(
    "handler",
    [
        source(
            "one-argument",
            "node",
            "index.js",
            "exports.handler = async function(event) {\n"
            '    console.log("an event:", JSON.stringify(event))\n}\n',
        ),
        source(
            "one-argument",
            "php",
            "index.php",
            "<?php\n\nreturn function(array $event) {\n"
            '    echo "an event: " . json_encode($event) . "\\n";\n};\n',
        ),
    ],
)
def test_a_project_for_the_original_lambdo_runs_unchanged(handler: Source, tmp_path: Path) -> None:
    """There: one function of one argument, and an events.json; no batch file, no report."""
    run = handler.run(tmp_path, [{"foo": "bar"}, {"baz": "cux"}], {})

    assert run.exit_code == 0
    assert run.printed == ['an event: {"foo":"bar"}', 'an event: {"baz":"cux"}']
