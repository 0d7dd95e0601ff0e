"""
What may go wrong between a client and a service, deliberately and repeatably.

A `FaultPlan` decides for each call whether it goes wrong, and how. The n-th call of an action has
its own random numbers, drawn from the seed, the action and n: however calls interleave, the
same seed gives the n-th call the same fault. `injected` records every fault, so that a test can
tell a duplicate that a fault explains from a mistake.

`FaultyApp` carries the plan out around an ASGI app that is served by `serving.serve`. `Partial`
concerns single entries of a batch call and is left to the app, which finds it with `injected`.
"""

import asyncio
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lambdo_router.admin.serving import cut, disconnected

_ANY = "*"
_INJECTED = "lambdo.injected"


@dataclass(frozen=True, slots=True)
class Delay:
    """The call takes between `least` and `most` seconds longer, before it has any effect."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """No effect; the answer has this status, with the service's own text."""

    status: int = 500


@dataclass(frozen=True, slots=True)
class Throttle:
    """No effect; refused as one call too many, with a Retry-After of whole seconds if given."""

    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """No effect; the connection is closed without an answer."""


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """The call has its effect, but its answer never arrives; `halfway`: only half of it does."""

    halfway: bool = False


@dataclass(frozen=True, slots=True)
class Partial:
    """
    A batch call fails for about this share of its entries, at least one; the rest succeeds.

    Rates draw it for actions that end in `Batch` only: other calls have no entries.
    """

    share: float = 0.5


@dataclass(frozen=True, slots=True)
class Silence:
    """No effect and no answer: the connection stays open until the client gives up."""


Fault = Delay | ErrorAnswer | Throttle | Cut | LoseAnswer | Partial | Silence


@dataclass(frozen=True, slots=True)
class Rate:
    """Of the calls to `action` of `service`, this share (0 to 1) meets `fault`; `*` is any."""

    fault: Fault
    share: float
    service: str = _ANY
    action: str = _ANY

    def concerns(self, service: str, action: str) -> bool:
        if isinstance(self.fault, Partial) and not action.endswith("Batch"):
            return False
        return self.service in (_ANY, service) and self.action in (_ANY, action)


@dataclass(frozen=True, slots=True)
class Injected:
    """One fault that was met: by the `number`-th call (from 1) of an action, at `at` seconds."""

    service: str
    action: str
    number: int
    fault: Fault
    at: float
    seed: str = field(repr=False)

    @property
    def kind(self) -> str:
        """The fault's name, for tables and ledgers: `LoseAnswer`."""
        return type(self.fault).__name__

    def seconds(self) -> float:
        """Return how long a Delay takes; 0.0 for every other fault."""
        if not isinstance(self.fault, Delay):
            return 0.0
        return random.Random(self.seed).uniform(self.fault.least, self.fault.most)  # noqa: S311 # no secret

    def entries(self, count: int) -> frozenset[int]:
        """Return which positions of a batch of `count` entries a Partial makes fail."""
        if not isinstance(self.fault, Partial) or count == 0:
            return frozenset()
        dice = random.Random(self.seed)  # noqa: S311 # no secret
        failing = frozenset(at for at in range(count) if dice.random() < self.fault.share)
        return failing or frozenset({dice.randrange(count)})


@dataclass(slots=True)
class FaultPlan:
    """
    Which calls go wrong. `rates` and `latency` may be replaced at any time.

    If several rates concern one call their shares add up, in order; nothing is left beyond 1.
    """

    seed: int = 0
    rates: tuple[Rate, ...] = ()
    latency: float = 0.0
    """Seconds that every call takes longer, faulty or not."""
    injected: list[Injected] = field(default_factory=list)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter, repr=False)
    """How often each (service, action) was called so far."""
    _scripted: defaultdict[tuple[str, str], deque[Fault]] = field(
        default_factory=lambda: defaultdict(deque), repr=False
    )

    def script(self, service: str, action: str, *faults: Fault) -> None:
        """Let the next calls of this action meet these faults, one each, before any rate counts."""
        self._scripted[service, action].extend(faults)

    def decide(self, service: str, action: str, now: float) -> Injected | None:
        """Return what the next call of this action meets, if anything. `now` is only recorded."""
        self.calls[service, action] += 1
        number = self.calls[service, action]
        seed = f"{self.seed}/{service}/{action}/{number}"
        scripted = self._scripted.get((service, action))
        fault = scripted.popleft() if scripted else self._drawn(service, action, seed)
        if fault is None:
            return None
        met = Injected(service, action, number, fault, now, seed)
        self.injected.append(met)
        return met

    def _drawn(self, service: str, action: str, seed: str) -> Fault | None:
        rates = [rate for rate in self.rates if rate.concerns(service, action)]
        if not rates:
            return None
        # A suffix of its own: the same numbers decide neither the kind nor the details.
        left = random.Random(f"{seed}/kind").random()  # noqa: S311 # no secret
        for rate in rates:
            left -= rate.share
            if left < 0:
                return rate.fault
        return None


def injected(scope: MutableMapping[str, Any]) -> Injected | None:
    """Return the fault that the request of this scope has met, for the app to carry out."""
    met: Injected | None = scope.get(_INJECTED)
    return met


@dataclass(slots=True)
class FaultyApp:
    """
    `app` under a plan: an ASGI app itself, to be served by `serve`.

    `action` names the call from its scope, and `refusal` words an ErrorAnswer or a Throttle as the
    service would.
    """

    app: ASGIApp
    plan: FaultPlan
    service: str
    action: Callable[[Scope], str]
    refusal: Callable[[ErrorAnswer | Throttle], Response]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        now = asyncio.get_running_loop().time()
        met = self.plan.decide(self.service, self.action(scope), now)
        scope[_INJECTED] = met
        pause = self.plan.latency + (met.seconds() if met else 0.0)
        if pause > 0:
            await asyncio.sleep(pause)
        match met.fault if met else None:
            case None | Delay() | Partial():
                await self.app(scope, receive, send)
            case (ErrorAnswer() | Throttle()) as refused:
                await self.refusal(refused)(scope, receive, send)
            case Cut():
                await _cut(scope, receive)
            case LoseAnswer(halfway):
                await self.app(scope, receive, _half(send) if halfway else _nowhere)
                await _cut(scope, receive)
            case Silence():
                await disconnected(receive)
            case unreachable:
                assert_never(unreachable)


async def _cut(scope: Scope, receive: Receive) -> None:
    cut(scope)
    await disconnected(receive)  # uvicorn has to hear of it before the request ends


async def _nowhere(message: Message) -> None:
    """Drop a part of a lost answer."""


def _half(send: Send) -> Send:
    """Send the head, which promises the whole body, and half of the body."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body":
            body: bytes = message.get("body", b"")
            message = {**message, "body": body[: len(body) // 2], "more_body": True}
        await send(message)

    return sending
