"""
A shell in which `aws`, `fly` and `docker` are stand-ins: what a page tells people to type is run.

`aws` is small but real: it calls the service's API with boto3, at the endpoints of its environment,
and so refuses what the service or its model does not know. `fly` and `docker` write down how they
were called, and `fly` knows tokens and secrets. The file is both the library and the stand-ins:
`python cloud_shell.py aws sqs create-queue ...`.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `fly` and `docker` start faster without it
    from botocore.model import Shape

_HOME = "CLOUD_SHELL"
"""The variable with the folder of `fly`'s memory."""
_TOKEN = "CLOUD_SHELL_TOKEN"
"""The variable with the token that `fly tokens create deploy` gives."""


@dataclass(frozen=True, slots=True)
class CloudShell:
    """A shell in a folder; `environment` is what its user has set."""

    home: Path
    environment: Mapping[str, str]

    @classmethod
    def at(cls, home: Path, token: str, **environment: str) -> "CloudShell":
        """Its commands are made at `home`; `token` is what `fly` hands out."""
        (home / "bin").mkdir(parents=True)
        for name in ("aws", "fly", "docker"):
            _command(home / "bin" / name, f"{__file__} {name}")
        _command(home / "bin" / "lambdo-router", "-m lambdo_router")
        path = f"{home / 'bin'}:{os.environ['PATH']}"
        return cls(home, {"PATH": path, _HOME: str(home), _TOKEN: token, **environment})

    async def run(self, script: str, folder: Path) -> str:
        """What the script prints on stdout. AssertionError, with what it said, if it fails."""
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", script),
            cwd=folder,
            env=dict(self.environment),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, f"{out.decode()}\n{err.decode()}"
        return out.decode()

    def calls(self, command: str) -> list[list[str]]:
        """How `fly` or `docker` was called so far."""
        file = self.home / f"{command}.calls"
        return [json.loads(line) for line in file.read_text().splitlines()]

    def secrets(self, app: str) -> dict[str, str]:
        """What `fly secrets set` has set for an app."""
        secrets: dict[str, str] = json.loads((self.home / f"{app}.secrets").read_text())
        return secrets


def _command(path: Path, arguments: str) -> None:
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
    path.chmod(0o755)


def _options(arguments: Sequence[str]) -> dict[str, str]:
    """Long options, each with a value."""
    assert len(arguments) % 2 == 0, arguments
    pairs = list(zip(arguments[::2], arguments[1::2], strict=True))
    assert all(name.startswith("--") for name, _ in pairs), arguments
    return {name.removeprefix("--"): value for name, value in pairs}


def _aws(arguments: Sequence[str]) -> None:
    import boto3
    import jmespath  # type: ignore[import-untyped] # it has no types
    from botocore import xform_name

    service, operation, *rest = arguments
    options = _options(rest)
    query, output = options.pop("query", "@"), options.pop("output", "json")
    client: Any = boto3.client(service, os.environ["AWS_REGION"])  # type: ignore[call-overload] # any
    method = operation.replace("-", "_")
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
    members = {xform_name(name, "-"): (name, it) for name, it in model.input_shape.members.items()}
    assert options.keys() <= members.keys(), options.keys() - members.keys()
    given = {members[key][0]: _value(text, members[key][1]) for key, text in options.items()}
    answer = getattr(client, method)(**given)
    answer.pop("ResponseMetadata", None)
    found = jmespath.search(query, answer)
    print(found if output == "text" else json.dumps(found, default=str))  # noqa: T201 - its answer


def _value(text: str, shape: "Shape") -> object:
    """An option's value, as the model wants it: text, JSON, or the shorthand K=V,K=V."""
    if text.startswith("file://"):
        text = Path(text.removeprefix("file://")).read_text()
    if shape.type_name in ("map", "structure"):
        if text.lstrip().startswith("{"):
            return json.loads(text)
        return dict(pair.split("=", 1) for pair in text.split(","))
    return text.split() if shape.type_name == "list" else text


def _write_down(command: str, arguments: Sequence[str]) -> None:
    with (Path(os.environ[_HOME]) / f"{command}.calls").open("a") as file:
        file.write(json.dumps(list(arguments)) + "\n")


def _fly(arguments: Sequence[str]) -> None:
    _write_down("fly", arguments)
    match arguments:
        case ["tokens", "create", "deploy", "--app", "acme-jobs", *_]:
            print(os.environ[_TOKEN])  # noqa: T201 - its answer
        case ["secrets", "set", "--app", app, "--stage", *secrets]:
            held = dict(secret.split("=", 1) for secret in secrets)
            (Path(os.environ[_HOME]) / f"{app}.secrets").write_text(json.dumps(held))
        case _:
            pass


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["aws", *rest]:
            _aws(rest)
        case ["fly", *rest]:
            _fly(rest)
        case [command, *rest]:
            _write_down(command, rest)
