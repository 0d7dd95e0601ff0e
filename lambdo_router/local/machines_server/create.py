"""
The body of a create request: from bytes to a value, or a refusal in the API's words.

What the API is known to refuse is refused here as well: no image, CPUs and memory outside the size
table, relative paths, broken base64, unknown regions. Unknown keys are ignored, and null counts
as absent, as in Fly's own JSON decoder.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from lambdo_router.core.profile import DEFAULT_SIZE, SIZES, normalise_image
from lambdo_router.local.machines_server.refusals import (
    BODY_TOO_LARGE,
    Refusal,
    invalid_argument,
)

BODY_LIMIT: Final = 1024 * 1024
"""Bytes; a file of 512 KiB passes as base64, one of 768 KiB does not."""
_SIGNALS = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGTERM")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+")
_MEMORY_STEP = 256
_LONGEST_PATH = 4096

_US = ("dfw", "ewr", "iad", "lax", "ord", "sjc")
_EUROPE = ("ams", "arn", "cdg", "fra", "lhr")
_ASIA_PACIFIC = ("bom", "nrt", "sin", "syd")
REGIONS: Final = tuple(sorted((*_US, *_EUROPE, *_ASIA_PACIFIC, "gru", "jnb", "yyz")))
"""Fly's documentation: reference/regions and machine-placement, August 2026."""
# Fly names the groups but not their members: these follow from where the regions are.
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "any": REGIONS,
    "us": _US,
    "usa": _US,
    "na": (*_US, "yyz"),
    "eu": _EUROPE,
    "apac": _ASIA_PACIFIC,
    "sa": ("gru",),
}

_GO_TYPES = {"bool": bool, "int": int, "string": str, "array": list, "object": dict}
_JSON_NAMES = {bool: "bool", int: "number", float: "number", str: "string", list: "array"}
_SHAPE: Final = {
    "name": "string",
    "region": "string",
    "config": {
        "image": "string",
        "size": "string",
        "guest": {"cpu_kind": "string", "cpus": "int", "memory_mb": "int"},
        "env": {"*": "string"},
        "metadata": {"*": "string"},
        "auto_destroy": "bool",
        "init": {"cmd": ["string"], "entrypoint": ["string"]},
        "files": [
            {
                "guest_path": "string",
                "raw_value": "string",
                "secret_name": "string",
                "image_config": "string",
                "mode": "int",
            }
        ],
        "restart": {"policy": "string"},
        "stop_config": {"signal": "string", "timeout": "string"},
    },
}
"""A Go type, a list of one shape, an object with shapes by key, or with one shape for all keys."""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A create request that the API would take. `config` has the size expanded into `guest`."""

    name: str | None
    region: str
    """A region expression; empty: near the caller."""
    config: Mapping[str, Any]


def parse_create(body: bytes) -> CreateRequest:
    """Read the body of a create; raises Refusal for one that the API would not take."""
    fields = parse_object(body)
    _check_shape(fields, _SHAPE, "CreateMachineRequest")
    name, config = fields.get("name"), fields.get("config")
    if name is not None and not _NAME.fullmatch(name):
        raise invalid_argument(f"invalid machine name {name!r}")
    if config is None:
        raise invalid_argument("config is required")
    return CreateRequest(name, fields.get("region") or "", _checked(config))


def parse_object(body: bytes) -> dict[str, Any]:
    """Read the JSON object of a body; raises Refusal for anything else."""
    if len(body) > BODY_LIMIT:
        raise Refusal(*BODY_TOO_LARGE)
    if not body.strip():
        raise Refusal(400, "EOF")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"malformed JSON: {error}") from None
    _check_shape(fields, {}, "the request")
    return dict(fields)


def candidates(expression: str, home: str) -> tuple[str, ...]:
    """
    Return the regions to try for an expression such as `iad,us,any`, in order, each once.

    One code alone means only that region. Within an alias `home`, where the server is, comes first;
    an empty expression means `home`. Raises Refusal for anything that is not a region.
    """
    return tuple(dict.fromkeys(_expanded(expression or home, home)))


def _expanded(expression: str, home: str) -> Iterator[str]:
    for item in expression.split(","):
        word = item.strip().lower()
        if word in REGIONS:
            yield word
        elif word in _ALIASES:
            yield from sorted(_ALIASES[word], key=lambda code: code != home)
        else:
            raise invalid_argument(f"unknown region {item.strip()!r}")


def _check_shape(value: object, shape: object, field: str) -> None:
    """Raise Refusal, in the words of Go's JSON decoder, unless a value has the shape."""
    name = shape if isinstance(shape, str) else "array" if isinstance(shape, list) else "object"
    if value is None:
        return
    if type(value) is not _GO_TYPES[name]:
        found = _JSON_NAMES.get(type(value), "object")
        raise Refusal(
            400, f"json: cannot unmarshal {found} into Go struct field {field} of type {name}"
        )
    if isinstance(shape, list) and isinstance(value, list):
        for item in value:
            _check_shape(item, shape[0], field)
    if isinstance(shape, dict) and isinstance(value, dict):
        for key, item in value.items():
            if inner := shape.get(key, shape.get("*")):
                _check_shape(item, inner, f"{field}.{key}")


def _checked(config: dict[str, Any]) -> dict[str, Any]:
    """Check the values of a config whose types are right; return it with its `guest`."""
    image = config.get("image")
    if not image or normalise_image(image) is None:
        raise Refusal(400, "invalid config.image")
    for file in config.get("files") or ():
        _check_file(file)
    policy = (config.get("restart") or {}).get("policy")
    if policy not in (None, "", "no", "always", "on-failure"):
        raise Refusal(400, "invalid config.restart.policy")
    stop = config.get("stop_config") or {}
    signal, timeout = stop.get("signal") or _SIGNALS[0], stop.get("timeout")
    if signal not in _SIGNALS:
        raise invalid_argument(f"invalid signal {signal!r}")
    if timeout and not _DURATION.fullmatch(timeout):
        raise invalid_argument(f"invalid duration {timeout!r}")
    present = {key: value for key, value in config.items() if value is not None and key != "size"}
    return present | {"guest": _guest(config.get("size"), config.get("guest"))}


def _guest(size: str | None, guest: dict[str, Any] | None) -> dict[str, Any]:
    if guest is None:
        if (preset := SIZES.get(size or DEFAULT_SIZE)) is None:
            raise Refusal(400, "invalid config.size")
        return asdict(preset.guest)
    if size:
        raise Refusal(400, "invalid config: size and guest exclude each other")
    kind, cpus, memory = guest.get("cpu_kind"), guest.get("cpus"), guest.get("memory_mb")
    if kind not in ("shared", "performance"):
        raise Refusal(400, "invalid config.guest.cpu_kind")
    preset = next(
        (it for it in SIZES.values() if (it.guest.cpu_kind, it.guest.cpus) == (kind, cpus)), None
    )
    if preset is None:
        raise Refusal(400, "invalid config.guest.cpus")
    problem = ""
    if memory is not None and memory < preset.min_memory_mb:
        problem = f", minimum required {preset.min_memory_mb} MiB"
    elif memory is not None and memory > preset.max_memory_mb:
        problem = f", cannot exceed {preset.max_memory_mb} MiB"
    if problem or memory is None or memory % _MEMORY_STEP:
        raise Refusal(400, f"invalid config.guest.memory_mb{problem}")
    return guest


def _check_file(file: Mapping[str, Any]) -> None:
    path, value = file.get("guest_path") or "", file.get("raw_value")
    problem = ""
    if not path.startswith("/") or "\0" in path or len(path) > _LONGEST_PATH:
        problem = f"guest_path {path!r} must be absolute"
    elif file.get("secret_name") or file.get("image_config"):
        problem = f"{path}: only raw_value is supported here"
    elif value is None:
        problem = f"{path} needs raw_value or secret_name"
    else:
        try:
            base64.b64decode(value, validate=True)
        except ValueError:
            problem = f"{path}: illegal base64 data"
    if problem:
        raise Refusal(400, f"invalid config.files: {problem}")
