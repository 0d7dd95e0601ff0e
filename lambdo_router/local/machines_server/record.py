"""
What the server knows of one Machine, and how the API shows it.

A record is a value: a change replaces it. So whoever holds one, a test's ledger or a live view,
holds a moment that stays as it was.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, Literal

from lambdo_router.core.profile import normalise_image

State = Literal[
    "created",
    "starting",
    "started",
    "restarting",
    "stopping",
    "stopped",
    "failed",
    "destroying",
    "destroyed",
]
_EMBEDDED_EVENTS = 5


@dataclass(frozen=True, slots=True)
class Exit:
    """How a Machine's command ended. A signal ends it with 128 + its number, as in a shell."""

    code: int
    signal: int | None = None
    oom_killed: bool = False
    error: str = ""


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
    """One Machine, from its creation on. `number` counts the Machines of a server."""

    number: int
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
    restarts: int = 0
    stop_requested: bool = False
    exit: Exit | None = None
    """The last one."""
    destroyed_at: float | None = None

    @property
    def image(self) -> str:
        return str(self.config["image"])

    @property
    def metadata(self) -> Mapping[str, str]:
        metadata: Mapping[str, str] = self.config.get("metadata") or {}
        return metadata

    @property
    def files(self) -> Mapping[str, bytes]:
        """The Machine's files by their path inside it, decoded."""
        return {
            file["guest_path"]: base64.b64decode(file.get("raw_value") or "")
            for file in self.config.get("files") or ()
        }

    def state_at(self, moment: float) -> State | None:
        """The state at an earlier moment; None if it did not exist yet."""
        states = [event.state for event in self.events if event.at <= moment]
        return states[-1] if states else None


def exit_request(
    end: Exit, record: MachineRecord, *, restarting: bool, at: float
) -> dict[str, Any]:
    """The `request` of an exit event. A guest that is killed for its memory says 0 of itself."""
    signal = -1 if end.signal is None else end.signal
    return {
        "exit_event": {
            "requested_stop": record.stop_requested,
            "restarting": restarting,
            "guest_exit_code": 0 if end.oom_killed else end.code,
            "guest_signal": signal,
            "guest_error": end.error,
            "exit_code": end.code,
            "signal": signal,
            "error": "",
            "oom_killed": end.oom_killed,
            "exited_at": timestamp(at),
        },
        "restart_count": record.restarts,
    }


def as_json(record: MachineRecord) -> dict[str, Any]:
    """The Machine as the API shows it, with no more than the five newest events."""
    return summary(record) | {
        "config": record.config,
        "host_status": "ok",
        "events": newest(record.events, _EMBEDDED_EVENTS),
        "checks": [],
    }


def summary(record: MachineRecord, state: State | None = None) -> dict[str, Any]:
    """The Machine as a list with `summary` shows it; in an earlier state, if one is given."""
    return {
        "id": record.id,
        "name": record.name,
        "state": state or record.state,
        "region": record.region,
        "version": record.version,
        "instance_id": record.version,
        "private_ip": record.private_ip,
        "created_at": timestamp(record.created_at),
        "updated_at": timestamp(record.updated_at),
        "image_ref": _image_ref(record.image),
        "cordoned": False,
    }


def newest(events: Sequence[MachineEvent], limit: int) -> list[dict[str, Any]]:
    """The newest events, newest first."""
    return [event.as_json() for event in reversed(events[-limit:])]


def timestamp(moment: float) -> str:
    """RFC 3339 with milliseconds."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


@lru_cache(maxsize=1000)  # a list of a thousand Machines has a few images
def _image_ref(image: str) -> dict[str, Any]:
    whole, _, digest = (normalise_image(image) or image).partition("@")
    place, _, name = whole.partition("/")
    repository, _, tag = name.partition(":")
    return {
        "registry": "registry-1.docker.io" if place == "docker.io" else place,
        "repository": repository,
        "tag": tag,
        "digest": digest or f"sha256:{sha256(whole.encode()).hexdigest()}",
        "labels": {},
    }
