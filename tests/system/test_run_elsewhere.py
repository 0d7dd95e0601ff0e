"""`lambdo-router run` with routes from a web server or a bucket: the process as users start it."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from click.testing import CliRunner
from files_server import Files, files_server
from router_process import world as clouds
from sqs_backends import Backend

from lambdo_router.cli import cli
from lambdo_router.local.sqs_server import Sqs

pytest_plugins = ["sqs_backends"]
pytestmark = pytest.mark.real_time

TOKEN = "fm2_planted-token-0123456789"
ROUTES = """\
version: 1
queues:
  work: {name: work, reject_to: rejected}
  rejected: {name: rejected}
defaults: {app: jobs, acknowledge: launch, max_attempts: 3}
routes:
  - {name: NAME, queue: work, schema: schemas/any.json, profile: {image: "jobs:1"}}
"""


class Router:
    """A process, and the lines that it has written."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, *words: str) -> str:
        """The next line with these words in it."""
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            async for raw in self.process.stderr:
                line = raw.decode().rstrip()
                self.lines.append(line)
                if all(word in line for word in words):
                    return line
        raise AssertionError(f"it ended before it said {words}: {self.lines}")

    async def ended(self) -> int:
        """The exit code of a process that ends by itself."""
        out, err = await asyncio.wait_for(self.process.communicate(), 30)
        self.lines += (out + err).decode().splitlines()
        return self.process.returncode or 0

    async def end(self) -> int:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            await self.ended()
        text = "\n".join(self.lines)
        assert "Traceback" not in text
        assert "planted" not in text
        return self.process.returncode or 0


@dataclass
class World:
    folder: Path
    files: Files
    sqs: Sqs
    environment: dict[str, str]

    @property
    def url(self) -> str:
        """With secrets in it that nobody should see."""
        return self.files.url.replace("//", "//user:planted@") + "/a/routes.yaml?token=planted"

    def put(self, name: str) -> None:
        self.files.put("a/routes.yaml", ROUTES.replace("NAME", name))

    @asynccontextmanager
    async def running(self, *arguments: str, **changes: str) -> AsyncIterator[Router]:
        environment = {k: v for k, v in {**self.environment, **changes}.items() if v}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lambdo_router", "run", "--no-admin", *arguments),
            cwd=self.folder,
            env=environment,
            stdout=pipe,
            stderr=pipe,
        )
        router = Router(process)
        try:
            yield router
        finally:
            await router.end()


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    with files_server() as files:
        async with clouds(folder, routes=None) as there:
            environment = {
                **there.environment,
                "LAMBDO_SQS_LONG_POLL_SECONDS": "0",
                "LAMBDO_ROUTES_CACHE": str(folder / "cache"),
                "LAMBDO_ROUTES_POLL": "1",
            }
            files.user = "user:planted"
            files.put("a/schemas/any.json", "{}")
            here = World(folder, files, there.sqs, environment)
            here.put("first")
            yield here


async def test_routes_from_a_web_server_are_taken_over_when_they_change(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.running(here.url) as router:
        await router.until("routes.swapped")
        here.files.put("a/routes.yaml", ROUTES + "roots: []\n")
        refused = await router.until("routes.refused")
        here.put("second")
        await router.until("routes.swapped")
        here.files.status = 503
        away = json.loads(await router.until("routes.unavailable"))
        here.files.status = 0
        await router.until("routes.available")
        code = await router.end()

    assert code == 0
    assert f"{here.files.url}/a/routes.yaml:8:1: unknown key `roots`" in refused
    assert away["reason"] == (
        f"{here.files.url}/a/routes.yaml: the server answers 503 Service Unavailable"
    )


async def test_sighup_asks_at_once(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.running(here.url, LAMBDO_ROUTES_POLL="3600") as router:
        await router.until("routes.swapped")
        here.put("second")
        router.process.send_signal(signal.SIGHUP)
        await router.until("routes.swapped")
        code = await router.end()

    assert code == 0


async def test_a_start_without_the_server_takes_the_last_good_copy(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        async with here.running(here.url) as router:
            first = json.loads(await router.until("routes.swapped"))
        here.files.status = 500
        async with here.running(here.url) as router:
            again = json.loads(await router.until("routes.swapped"))
            here.put("second")
            here.files.status = 0
            await router.until("routes.swapped")

    assert again["generation"] == first["generation"]
    warning = router.lines[0]
    assert warning.startswith(f"warning: {here.files.url}/a/routes.yaml: ")
    assert "500 Internal Server Error; going on with the last good copy, of 20" in warning


async def test_a_start_without_the_server_and_without_a_copy_ends(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.files.status = 404
        async with here.running(here.url) as router:
            code = await router.ended()
        missing = (code, list(router.lines))
        here.files.status = 500
        async with here.running(here.url) as router:
            away = await router.ended()

    where = f"{here.files.url}/a/routes.yaml"
    assert missing == (1, [f"{where}:1:1: there is no such file [file-not-found]"])
    assert (away, router.lines) == (
        1,
        [f"error: {where}: the server answers 500 Internal Server Error"],
    )


async def test_errors_are_shown_with_the_lines_of_the_file(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.files.put("a/routes.yaml", ROUTES + "roots: []\n")
        async with here.running(here.url) as router:
            assert await router.ended() == 1

    assert router.lines[1:] == ["8 | roots: []", "  | ^~~~~"]


async def test_the_address_may_be_in_the_environment(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.running(LAMBDO_ROUTES=here.url) as router:
        await router.until("routes.swapped")


async def test_routes_from_a_bucket_are_taken_over_when_they_change(
    tmp_path: Path, moto: Backend
) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=moto.url,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    s3.create_bucket(Bucket="elsewhere")
    s3.put_object(Bucket="elsewhere", Key="a/schemas/any.json", Body=b"{}")

    def put(name: str) -> None:
        text = ROUTES.replace("NAME", name)
        s3.put_object(Bucket="elsewhere", Key="a/routes.yaml", Body=text.encode())

    put("first")
    async with world(tmp_path) as here:
        endpoint = {"AWS_ENDPOINT_URL_S3": moto.url}
        async with here.running("s3://elsewhere/a/routes.yaml", **endpoint) as router:
            await router.until("routes.swapped")
            await asyncio.to_thread(put, "second")
            await router.until("routes.swapped")
            code = await router.end()
    s3.close()

    assert code == 0


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ftp://h.example/routes.yaml", "routes are read from s3:// and https://"),
        ("http://h.example/routes.yaml", "http is only for servers on this machine"),
        ("s3://acme/", "names no file"),
    ],
)
def test_what_is_no_address_is_wrong_usage(address: str, said: str) -> None:
    result = CliRunner().invoke(cli, ["run", address])

    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_a_cache_that_cannot_be_written_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAMBDO_ROUTES_CACHE", str(tmp_path / "file/cache"))
    monkeypatch.setenv("LAMBDO_FLY_TOKEN", TOKEN)

    result = CliRunner().invoke(cli, ["run", "https://127.0.0.1:9/routes.yaml"])

    assert result.exit_code == 2
    assert "LAMBDO_ROUTES_CACHE is " in result.stderr
    assert "Not a directory" in result.stderr


# What the start of `run` says of AWS and Fly.


async def test_a_router_that_has_started_tells_what_aws_and_fly_have_against_the_routes(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as here:
        here.sqs.set_attributes("work", {"MessageRetentionPeriod": "3600"}, time.time())
        async with here.running(here.url) as router:
            await router.until("routes.swapped")
            line = await router.until("[retention-short]")

    assert line.startswith(f"{here.files.url}/a/routes.yaml:3:16: warning: SQS deletes")


async def test_an_error_of_these_is_a_warning_there(tmp_path: Path) -> None:
    deny = '{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}}'
    async with world(tmp_path) as here:
        here.sqs.set_attributes("rejected", {"Policy": deny}, time.time())
        async with here.running(here.url) as router:
            await router.until("routes.swapped")
            line = await router.until("[queue-policy-denies]")

    assert ":4:20: warning: the policy of queue `rejected` denies sqs:SendMessage" in line
