"""
The body of a create request: from bytes to a value, or a refusal in the API's words.

What the API is known to refuse is refused here as well: no image, CPUs and memory outside the size
table, relative paths, broken base64, unknown regions. Unknown keys are ignored, and null counts
as absent, as in Fly's own JSON decoder. Mounts, services and checks are accepted and have no
effect: nothing here has volumes or a proxy.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from lambdo_router.core.profile import DEFAULT_SIZE, SIZES, Guest, normalise_image
from lambdo_router.local.machines_server import refusals
from lambdo_router.local.machines_server.refusals import Refusal

BODY_LIMIT: Final = 1024 * 1024
"""Bytes; a file of 512 KiB passes as base64, one of 768 KiB does not."""
SIGNALS: Final = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGTERM")

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_MEMORY_STEP = 256
_LONGEST_PATH = 4096


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A create request that the API would take. `config` has the size expanded into `guest`."""

    name: str | None
    region: str
    """A region expression; empty: near the caller."""
    config: Mapping[str, Any]
    skip_launch: bool = False


def parse_create(body: bytes) -> CreateRequest:
    """Raises Refusal for a body that the API would not take."""
    fields = parse_object(body)
    name = _string(fields, "name", "CreateMachineRequest")
    if name is not None and not _NAME.fullmatch(name):
        raise Refusal(400, f"invalid_argument: invalid machine name {name!r}")
    config = _object(fields, "config", "CreateMachineRequest")
    if config is None:
        raise Refusal(400, "invalid_argument: config is required")
    return CreateRequest(
        name=name,
        region=_string(fields, "region", "CreateMachineRequest") or "",
        config=_config(config),
        skip_launch=_boolean(fields, "skip_launch", "CreateMachineRequest"),
    )


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises Refusal for anything else."""
    if len(body) > BODY_LIMIT:
        raise refusals.body_too_large()
    if not body.strip():
        raise refusals.no_body()
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"invalid_argument: malformed JSON: {error}") from None
    if not isinstance(fields, dict):
        _wrong_type(fields, "the request", "object")
    return fields


def parse_duration(text: str, default: float) -> float:
    """Seconds of one of Go's durations, like `10s` or `1m30s`; Refusal for anything else."""
    if not text:
        return default
    if not _DURATION.fullmatch(text):
        raise Refusal(400, f"invalid_argument: invalid duration {text!r}")
    return sum(
        float(number) * _UNITS[unit]
        for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", text)
    )


def parse_signal(value: object, default: str) -> str:
    """One of the signals that the API takes; Refusal for anything else."""
    if value in (None, ""):
        return default
    if value not in SIGNALS:
        raise Refusal(400, f"invalid_argument: invalid signal {value!r}")
    return str(value)


def _config(config: dict[str, Any]) -> dict[str, Any]:
    image = _string(config, "image")
    if not image or normalise_image(image) is None:
        raise Refusal(400, "invalid config.image")
    _string_map(config, "env")
    _string_map(config, "metadata")
    _boolean(config, "auto_destroy")
    for file in _objects(config, "files"):
        _check_file(file)
    for command in (_object(config, "init") or {}, *_objects(config, "processes")):
        for key in ("cmd", "entrypoint", "exec"):
            _strings(command, key)
        _string_map(command, "env")
    restart = _object(config, "restart") or {}
    if restart.get("policy") not in (None, "", "no", "always", "on-failure"):
        raise Refusal(400, "invalid config.restart.policy")
    if not isinstance(restart.get("max_retries") or 0, int):
        _wrong_type(restart["max_retries"], "max_retries", "int")
    stop = _object(config, "stop_config") or {}
    parse_signal(stop.get("signal"), "SIGINT")
    parse_duration(_string(stop, "timeout", "StopConfig") or "", 0.0)
    present = {key: value for key, value in config.items() if value is not None and key != "size"}
    return present | {"guest": _guest(config)}


def _guest(config: dict[str, Any]) -> dict[str, Any]:
    size, guest = _string(config, "size"), _object(config, "guest")
    if guest is None:
        preset = SIZES.get(size or DEFAULT_SIZE)
        if preset is None:
            raise Refusal(400, "invalid config.size")
        return _guest_json(preset.guest)
    if size:
        raise Refusal(400, "invalid config: size and guest exclude each other")
    kind, cpus, memory = guest.get("cpu_kind"), guest.get("cpus"), guest.get("memory_mb")
    if kind not in ("shared", "performance"):
        raise Refusal(400, "invalid config.guest.cpu_kind")
    preset = next(
        (it for it in SIZES.values() if (it.guest.cpu_kind, it.guest.cpus) == (kind, cpus)), None
    )
    if preset is None or isinstance(cpus, bool):
        raise Refusal(400, "invalid config.guest.cpus")
    if not isinstance(memory, int) or memory % _MEMORY_STEP:
        raise Refusal(400, "invalid config.guest.memory_mb")
    if memory < preset.min_memory_mb:
        raise Refusal(
            400, f"invalid config.guest.memory_mb, minimum required {preset.min_memory_mb} MiB"
        )
    if memory > preset.max_memory_mb:
        raise Refusal(
            400, f"invalid config.guest.memory_mb, cannot exceed {preset.max_memory_mb} MiB"
        )
    return guest


def _guest_json(guest: Guest) -> dict[str, Any]:
    return {"cpu_kind": guest.cpu_kind, "cpus": guest.cpus, "memory_mb": guest.memory_mb}


def _check_file(file: dict[str, Any]) -> None:
    path = _string(file, "guest_path", "File") or ""
    if not path.startswith("/") or "\0" in path or len(path) > _LONGEST_PATH:
        raise Refusal(400, f"invalid config.files: guest_path {path!r} must be absolute")
    if _string(file, "secret_name", "File") or _string(file, "image_config", "File"):
        raise Refusal(400, f"invalid config.files: {path}: only raw_value is known here")
    value = _string(file, "raw_value", "File")
    if value is None:
        raise Refusal(400, f"invalid config.files: {path} needs raw_value or secret_name")
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, f"invalid config.files: {path}: illegal base64 data") from None
    mode = file.get("mode")
    if mode is not None and (not isinstance(mode, int) or isinstance(mode, bool)):
        _wrong_type(mode, "File.mode", "uint32")


def _string(fields: Mapping[str, Any], key: str, owner: str = "MachineConfig") -> str | None:
    value = fields.get(key)
    if value is not None and not isinstance(value, str):
        _wrong_type(value, f"{owner}.{key}", "string")
    return value


def _boolean(fields: Mapping[str, Any], key: str, owner: str = "MachineConfig") -> bool:
    value = fields.get(key)
    if value is not None and not isinstance(value, bool):
        _wrong_type(value, f"{owner}.{key}", "bool")
    return bool(value)


def _object(
    fields: Mapping[str, Any], key: str, owner: str = "MachineConfig"
) -> dict[str, Any] | None:
    value = fields.get(key)
    if value is not None and not isinstance(value, dict):
        _wrong_type(value, f"{owner}.{key}", "object")
    return value


def _objects(fields: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = fields.get(key) or []
    if not isinstance(value, list):
        _wrong_type(value, f"MachineConfig.{key}", "array")
    for item in value:
        if not isinstance(item, dict):
            _wrong_type(item, f"MachineConfig.{key}", "object")
    return value


def _strings(fields: Mapping[str, Any], key: str) -> None:
    value = fields.get(key) or []
    if not isinstance(value, list):
        _wrong_type(value, key, "[]string")
    for item in value:
        if not isinstance(item, str):
            _wrong_type(item, key, "string")


def _string_map(fields: Mapping[str, Any], key: str) -> None:
    for name, value in (_object(fields, key) or {}).items():
        if not isinstance(value, str):
            _wrong_type(value, f"MachineConfig.{key}.{name}", "string")


def _wrong_type(value: object, field: str, wanted: str) -> NoReturn:
    kinds = {bool: "bool", int: "number", float: "number", str: "string", list: "array"}
    found = kinds.get(type(value), "object")
    raise Refusal(
        400, f"json: cannot unmarshal {found} into Go struct field {field} of type {wanted}"
    )
