"""
What the server knows of one Machine, and how the API shows it.

A record is a value: a change replaces it. Whoever holds one holds a moment that stays as it was.
"""

import base64
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

State = Literal["created", "started", "stopped", "failed", "destroying", "destroyed"]
_EMBEDDED_EVENTS = 5
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_LENGTH = 26


@dataclass(frozen=True, slots=True)
class Exit:
    """How a Machine's command ended. A signal ends it with 128 + its number, as in a shell."""

    code: int
    signal: int | None = None
    oom_killed: bool = False
    error: str = ""


KILLED: Final = Exit(137, signal=9)
OUT_OF_MEMORY: Final = Exit(137, oom_killed=True)


@dataclass(frozen=True, slots=True)
class MachineEvent:
    """One event of a Machine, and the state that it left the Machine in."""

    id: str
    type: str
    status: str
    source: Literal["user", "flyd"]
    at: float
    """Unix time."""
    state: State
    request: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": self.type,
            "status": self.status,
            "source": self.source,
            "timestamp": int(self.at * 1000),
        } | ({} if self.request is None else {"request": self.request})


@dataclass(frozen=True, slots=True)
class MachineRecord:
    """One Machine, from its creation on."""

    id: str
    app: str
    name: str
    region: str
    version: str
    private_ip: str
    created_at: float
    """Unix time, as all times here."""
    updated_at: float
    config: Mapping[str, Any]
    state: State = "created"
    events: tuple[MachineEvent, ...] = ()
    """Oldest first."""
    stop_requested: bool = False
    exit: Exit | None = None
    destroyed_at: float | None = None

    @property
    def image(self) -> str:
        return str(self.config["image"])

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.config.get("metadata") or {}

    @property
    def files(self) -> Mapping[str, bytes]:
        """The Machine's files by their path inside it, decoded."""
        return {
            file["guest_path"]: base64.b64decode(file.get("raw_value") or "")
            for file in self.config.get("files") or ()
        }

    @property
    def env(self) -> dict[str, str]:
        """The environment of the command: the config's, and what every Machine has at Fly."""
        return {
            **(self.config.get("env") or {}),
            "FLY_APP_NAME": self.app,
            "FLY_MACHINE_ID": self.id,
            "FLY_ALLOC_ID": self.id,
            "FLY_MACHINE_VERSION": self.version,
            "FLY_REGION": self.region,
            "FLY_PRIVATE_IP": self.private_ip,
            "FLY_IMAGE_REF": self.image,
            "FLY_VM_MEMORY_MB": str(self.config["guest"]["memory_mb"]),
        }

    def state_at(self, moment: float) -> State | None:
        """Return the state at an earlier moment; None if it did not exist yet."""
        states = [event.state for event in self.events if event.at <= moment]
        return states[-1] if states else None


class Identities:
    """
    Ids in Fly's shapes, from a seed: the same calls give the same ids in every run.

        Machine       14 hex digits                     3d8d7000c52d78
        event         ULID, 26 characters, in order     01J8ZQ7W9Y3S0M2C4B6D8F1GHK
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose, no secret
        self._newest = 0

    def machine(self) -> str:
        return f"{self._random.getrandbits(56):014x}"

    def ulid(self, now: float) -> str:
        """Return a ULID for unix time `now`, greater than every one before it."""
        number = int(now * 1000) << 80 | self._random.getrandbits(80)
        self._newest = max(number, self._newest + 1)
        return "".join(
            _CROCKFORD[self._newest >> 5 * place & 31] for place in reversed(range(_ULID_LENGTH))
        )


def exit_request(end: Exit, record: MachineRecord, at: float) -> dict[str, Any]:
    """Return the `request` of an exit event. A guest killed for its memory itself reports 0."""
    signal = -1 if end.signal is None else end.signal
    return {
        "exit_event": {
            "requested_stop": record.stop_requested,
            "restarting": False,
            "guest_exit_code": 0 if end.oom_killed else end.code,
            "guest_signal": signal,
            "guest_error": end.error,
            "exit_code": end.code,
            "signal": signal,
            "error": "",
            "oom_killed": end.oom_killed,
            "exited_at": _timestamp(at),
        },
        "restart_count": 0,
    }


def as_json(record: MachineRecord) -> dict[str, Any]:
    """Return the Machine as the API shows it, with its five newest events at most."""
    return summary(record) | {
        "config": record.config,
        "host_status": "ok",
        "events": newest(record.events, _EMBEDDED_EVENTS),
        "checks": [],
    }


def summary(record: MachineRecord) -> dict[str, Any]:
    """Return the Machine as a list with `summary` shows it."""
    return {
        "id": record.id,
        "name": record.name,
        "state": record.state,
        "region": record.region,
        "version": record.version,
        "instance_id": record.version,
        "private_ip": record.private_ip,
        "created_at": _timestamp(record.created_at),
        "updated_at": _timestamp(record.updated_at),
        "cordoned": False,
    }


def newest(events: Sequence[MachineEvent], limit: int) -> list[dict[str, Any]]:
    """Return the newest events as JSON, newest first."""
    return [event.as_json() for event in reversed(events[-limit:])]


def _timestamp(moment: float) -> str:
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
