"""
How a Machine ended, from its events.

A one-shot Machine leaves six: launch/pending, launch/created, start/started, exit/stopped,
destroy/destroying, destroy/destroyed. The exit event has the exit code, in one of two places, and
omits zeros. A Machine that never ran has no exit event but is destroyed; one that is still being
destroyed may yet send it. (Fly's Go client reads the events like this; the rest was reported by
users of the API.)

If the events are ambiguous, the end is a failure or not known yet: a batch that runs twice is a
nuisance, a batch wrongly taken for done is lost.

Pure.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lambdo_router.core.ports import MachineEnd

_OUT_OF_MEMORY: Final = 137
_BY_SIGNAL: Final = 128
_FAILED: Final = "Fly says that the Machine has failed, and not why"


@dataclass(frozen=True, slots=True)
class _Event:
    kind: str
    status: str
    source: str
    at: float | None
    """Unix seconds."""
    request: Mapping[str, object]

    @property
    def is_call_to_end(self) -> bool:
        """Whether somebody called the API to stop or destroy the Machine."""
        return self.kind in ("stop", "destroy") and self.source == "user"


def machine_end(listed: Iterable[object], *, failed: bool = False) -> MachineEnd | None:
    """
    Return the end in a Machine's events, which are newest first, as the API lists them.

    `failed`: the Machine is in the state of that name, which lasts, so nothing more will be told.
    None while it runs, while it is to run again, and while an exit may still be told.
    """
    life = _oldest_first(listed)
    destroyed = any(event.kind == "destroy" and event.status == "destroyed" for event in life)
    exits = [number for number, event in enumerate(life) if event.kind == "exit"]
    if not exits:
        stopped = any(event.is_call_to_end for event in life)
        if destroyed:
            return MachineEnd(None, requested_stop=stopped)
        return MachineEnd(None, error=_FAILED) if failed else None
    before, exit_, after = life[: exits[-1]], life[exits[-1]], life[exits[-1] + 1 :]
    told = _told(exit_)
    # A Machine that was moved to another host is launched again after its exit.
    goes_on = told.get("restarting") is True or any(
        event.kind in ("launch", "start") for event in after
    )
    if (goes_on or not told) and not destroyed:
        return MachineEnd(None, error=_FAILED) if failed else None
    start = next((n for n in reversed(range(len(before))) if _is_started(before[n])), None)
    run = before if start is None else before[start:]
    code, error = _exit_code(told)
    return MachineEnd(
        exit_code=code,
        oom_killed=told.get("oom_killed") is True,
        # What was to go on and was destroyed instead was destroyed by somebody.
        requested_stop=goes_on
        or told.get("requested_stop") is True
        or any(event.is_call_to_end for event in run),
        error=error,
        seconds=None if start is None else _seconds(before[start], exit_, told),
    )


def unix_time(value: object) -> float | None:
    """
    Unix seconds of a time in an answer: RFC 3339, or milliseconds since 1970, as Fly once wrote.

    None for what is neither, and for the year 1, which is Go's way to leave a time out.
    """
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _oldest_first(listed: Iterable[object]) -> Sequence[_Event]:
    life = [_event(fields) for fields in listed if isinstance(fields, Mapping)]
    life.reverse()
    if any(event.at is None for event in life):
        return life
    # Stable: events of the same millisecond stay in the order of the list.
    return sorted(life, key=lambda event: event.at or 0.0)


def _event(fields: Mapping[str, object]) -> _Event:
    request = fields.get("request")
    return _Event(
        kind=str(fields.get("type", "")),
        status=str(fields.get("status", "")),
        source=str(fields.get("source", "")),
        at=unix_time(fields.get("timestamp")),
        request=request if isinstance(request, Mapping) else {},
    )


def _told(exit_: _Event) -> Mapping[str, object]:
    """Return the fields of an exit event; empty if it has none."""
    monitor = exit_.request.get("MonitorEvent")
    for place in (monitor, exit_.request):
        told = place.get("exit_event") if isinstance(place, Mapping) else None
        if isinstance(told, Mapping):
            return told
    return {}


def _exit_code(told: Mapping[str, object]) -> tuple[int | None, str]:
    """Return the exit code and the error; `guest_exit_code` is 0 even after an OOM kill."""
    error = str(told.get("error") or told.get("guest_error") or "")
    code = told.get("exit_code", 0)  # what is zero may be left out
    if not told or not isinstance(code, int) or isinstance(code, bool):
        return None, error or "its exit event does not tell its exit code"
    if code == 0:
        # -1 stands for no signal.
        signals = (told.get("signal", -1), told.get("guest_signal", -1))
        killed_by = max(number if isinstance(number, int) else -1 for number in signals)
        if told.get("oom_killed") is True:
            code = _OUT_OF_MEMORY
        elif killed_by > 0:
            code = _BY_SIGNAL + killed_by
    return code, error


def _is_started(event: _Event) -> bool:
    return event.kind == "start" and event.status == "started"


def _seconds(start: _Event, exit_: _Event, told: Mapping[str, object]) -> float | None:
    """Return how long it ran, in steps of a millisecond."""
    ended = unix_time(told.get("exited_at")) or exit_.at
    if start.at is None or ended is None:
        return None
    return max(0.0, round(ended - start.at, 3))
