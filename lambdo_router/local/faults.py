"""
What may go wrong between a client and a service, on purpose and repeatably.

A `FaultPlan` decides for each call whether it goes wrong, and how. The n-th call of an action has
its own random numbers, drawn from the seed, the action and n: however calls interleave, the
same seed meets the n-th call with the same fault. What was done to whom is kept in `injected`,
so that a test can tell a duplicate that a fault explains from one that is a mistake.

`FaultyApp` carries the plan out around an ASGI app that is served by `serving.serve`. Faults on
the connection are its business alone; `Partial` concerns single entries of a batch call, and is
left to the app, which finds it with `injected(scope)`.
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

ANY = "*"
_BATCH = "Batch"
"""How the names of actions end that have entries."""
_INJECTED = "lambdo.injected"


@dataclass(frozen=True, slots=True)
class Delay:
    """The call takes between `least` and `most` seconds longer, before it has any effect."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Answer:
    """No effect; the answer is this status, 500 or 503, in the service's own words."""

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


Fault = Delay | Answer | Throttle | Cut | LoseAnswer | Partial | Silence


@dataclass(frozen=True, slots=True)
class Rate:
    """Of the calls to `action` of `service`, this share (0 to 1) meets `fault`; `*` is any."""

    fault: Fault
    share: float
    service: str = ANY
    action: str = ANY

    def concerns(self, service: str, action: str) -> bool:
        if isinstance(self.fault, Partial) and not action.endswith(_BATCH):
            return False
        return self.service in (ANY, service) and self.action in (ANY, action)


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
        """How long a Delay takes; 0.0 for every other fault."""
        if not isinstance(self.fault, Delay):
            return 0.0
        return random.Random(self.seed).uniform(self.fault.least, self.fault.most)  # noqa: S311 # no secret

    def entries(self, count: int) -> frozenset[int]:
        """Which positions of a batch of `count` entries fail; none unless this is a Partial."""
        if not isinstance(self.fault, Partial) or count == 0:
            return frozenset()
        dice = random.Random(self.seed)  # noqa: S311 # no secret
        failing = frozenset(at for at in range(count) if dice.random() < self.fault.share)
        return failing or frozenset({dice.randrange(count)})


@dataclass(slots=True)
class FaultPlan:
    """
    Which calls go wrong. `rates` and `latency` may be replaced at any time.

    Where several rates concern one call their shares add up, in order; beyond 1 nothing is left.
    """

    seed: int = 0
    rates: tuple[Rate, ...] = ()
    latency: float = 0.0
    """Seconds that every call takes longer, faulty or not."""
    injected: list[Injected] = field(default_factory=list)
    _scripted: defaultdict[tuple[str, str], deque[Fault]] = field(
        default_factory=lambda: defaultdict(deque), repr=False
    )
    _calls: Counter[tuple[str, str]] = field(default_factory=Counter, repr=False)

    def script(self, service: str, action: str, *faults: Fault) -> None:
        """The next calls of this action meet these faults, one each, before any rate counts."""
        self._scripted[service, action].extend(faults)

    def decide(self, service: str, action: str, now: float) -> Injected | None:
        """What the next call of this action meets; None: nothing. `now` is for the record only."""
        self._calls[service, action] += 1
        number = self._calls[service, action]
        seed = f"{self.seed}/{service}/{action}/{number}"
        fault = self._next_fault(service, action, seed)
        if fault is None:
            return None
        met = Injected(service, action, number, fault, now, seed)
        self.injected.append(met)
        return met

    def calls(self, service: str, action: str) -> int:
        """How often this action was called so far."""
        return self._calls[service, action]

    def all_calls(self, service: str) -> int:
        """How many calls a service got so far."""
        return sum(count for (called, _), count in self._calls.items() if called == service)

    def tally(self) -> Counter[tuple[str, str, str]]:
        """How many calls met what, by (service, action, kind of fault)."""
        return Counter((met.service, met.action, met.kind) for met in self.injected)

    def _next_fault(self, service: str, action: str, seed: str) -> Fault | None:
        if scripted := self._scripted.get((service, action)):
            return scripted.popleft()
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
    """The fault that the request of this scope has met, for those that the app carries out."""
    met: Injected | None = scope.get(_INJECTED)
    return met


@dataclass(slots=True)
class FaultyApp:
    """
    `app` as its clients see it under a plan: an ASGI app itself, to be served by `serve`.

    `action` names the call from its scope, and `refusal` words an Answer or a Throttle as the
    service would. With no plan in the way a request passes unchanged.
    """

    app: ASGIApp
    plan: FaultPlan
    service: str
    action: Callable[[Scope], str]
    refusal: Callable[[Answer | Throttle], Response]

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
            case (Answer() | Throttle()) as refused:
                await self.refusal(refused)(scope, receive, send)
            case Cut():
                cut(scope)
            case LoseAnswer(halfway):
                await self.app(scope, receive, _half(send) if halfway else _nowhere)
                cut(scope)
            case Silence():
                await disconnected(receive)
            case unreachable:
                assert_never(unreachable)
        if met is not None and isinstance(met.fault, Cut | LoseAnswer):
            await disconnected(receive)  # uvicorn has to hear of it before the request ends


async def _nowhere(message: Message) -> None:
    """Where a lost answer goes."""


def _half(send: Send) -> Send:
    """Send the head, which promises the whole body, and half of the body."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body":
            body: bytes = message.get("body", b"")
            message = {**message, "body": body[: len(body) // 2], "more_body": True}
        await send(message)

    return sending
