"""What the routers of a soak said they did, read from their logs."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Freeze:
    """A router process was stopped by SIGSTOP from `begun` to `ended`, in unix seconds."""

    router: int
    begun: float
    ended: float


@dataclass(slots=True)
class Evidence:
    """Of all routers; each moment in unix seconds, by the number of its router."""

    freezes: list[Freeze] = field(default_factory=list)
    received: dict[tuple[int, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    """By router and message."""
    deliveries: dict[tuple[int, str, float], int] = field(default_factory=dict)
    """By router, message and moment: which delivery of the message it was, from 1."""
    closed: dict[str, tuple[int, float]] = field(default_factory=dict)
    """By batch: who closed it, and when."""
    lost: list[tuple[int, str, float]] = field(default_factory=list)
    """Leases that a router found lost: router, message, when."""
    retried: dict[tuple[int, str], list[tuple[float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By router and message: when, and the delay in seconds."""
    doubted: set[str] = field(default_factory=set)
    """Names of Machines after whose create a router did not know whether Fly had made them."""
    margins: list[tuple[int, float, float]] = field(default_factory=list)
    """Router, when, seconds that were left of the shortest lease at a renewal or a launch."""
    abandoned: int = 0
    """Messages that were still held when a router had stopped as told."""
    printed: list[str] = field(default_factory=list)
    """What no router may print."""
    lines: list[tuple[float, str]] = field(default_factory=list)
    """All that was logged, and when."""

    def read(self, router: int, log: Path, forbidden: Iterable[str]) -> None:
        """Take in the log of one router."""
        text = log.read_text(errors="replace")
        words = tuple(forbidden)
        self.printed += [line for line in text.splitlines() if any(word in line for word in words)]
        for at, fact in _facts(text):
            self._take(router, at, fact)
            self.lines.append((at, f"router {router}: {json.dumps(fact)}"))

    def was_frozen(self, router: int, begin: float, end: float) -> bool:
        """Whether the router stood still at any moment between."""
        return any(f.router == router and f.begun <= end and f.ended >= begin for f in self.freezes)

    def last_received(self, router: int, message: str, before: float) -> float | None:
        """When the router last got this message before a moment."""
        times = [at for at in self.received[router, message] if at <= before]
        return max(times, default=None)

    def least_margin(self, patience: float) -> float:
        """Of all routers that were not frozen within `patience` seconds before."""
        return min(
            (
                margin
                for router, at, margin in self.margins
                if not self.was_frozen(router, at - patience, at)
            ),
            default=0.0,
        )

    def _take(self, router: int, at: float, fact: dict[str, Any]) -> None:
        match fact["event"]:
            case "message.received":
                self.received[router, fact["message"]].append(at)
                self.deliveries[router, fact["message"], at] = fact["receives"]
            case "message.redelivered":
                self.received[router, fact["message"]].append(at)
            case "batch.closed":
                self.closed[fact["batch"]] = (router, at)
            case "message.lease_lost":
                self.lost.append((router, fact["message"], at))
            case "message.retried":
                self.retried[router, fact["message"]].append((at, fact["delay"]))
            case "machine.launch_failed" if fact["ambiguous"]:
                self.doubted.add(fact["name"])
            case "machine.launched":
                self.margins.append((router, at, fact["lease_margin"]))
            case "leases.renewed":
                self.margins.append((router, at, fact["margin"]))
            case "router.stopped":
                self.abandoned += fact.get("abandoned", 0)
            case _:
                pass


def _facts(text: str) -> Iterator[tuple[float, dict[str, Any]]]:
    for line in text.splitlines():
        try:
            fact = json.loads(line)
            at = datetime.fromisoformat(fact["timestamp"]).timestamp()
        except (ValueError, KeyError, TypeError):
            continue  # cut by a SIGKILL, or what a library printed
        yield at, fact
