"""
`POST /-/reload`: load the routes file now, and answer with the outcome.

The file is watched anyway. A request is for callers who want to know that a deployed file is
in use, or why it is not: the answer has the differences or all the problems.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lambdo_router.admin.answers import JsonAnswer, bearer, failure
from lambdo_router.core import journal

_PATIENCE: Final = 60.0
"""Seconds; fetching a remote routes file takes a while."""

Outcome = Literal["accepted", "unchanged", "refused", "unreachable", "stopping", "pending"]
_STATUS: Final = {
    "accepted": 200,
    "unchanged": 200,
    "pending": 202,
    "refused": 422,
    "unreachable": 502,
    "stopping": 503,
}


@dataclass(frozen=True, slots=True)
class ReloadOutcome:
    outcome: Outcome
    generation: str
    """The table in use."""
    detail: str
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


@dataclass(slots=True)
class Reloading:
    """Triggers a reload, and learns its outcome from the journal."""

    READS: ClassVar = (
        *(journal.ReloadFailed, journal.RoutesLoaded, journal.TableActivated),
        journal.Stopping,
    )
    """The facts that `observe` is for; it ignores the others."""

    nudge: asyncio.Event
    """What the loader of the file waits for."""
    _generation: str = ""
    _loaded: journal.RoutesLoaded | None = None
    _asking: list[asyncio.Future[ReloadOutcome]] = field(default_factory=list)

    async def ask(self) -> ReloadOutcome:
        """Trigger a reload and return its outcome; `pending` if that takes more than a minute."""
        answer: asyncio.Future[ReloadOutcome] = asyncio.get_running_loop().create_future()
        self._asking.append(answer)
        self.nudge.set()
        try:
            async with asyncio.timeout(_PATIENCE):
                return await answer
        except TimeoutError:
            detail = f"not loaded within {_PATIENCE:.0f} s; see GET /status later"
            return ReloadOutcome("pending", self._generation, detail)
        finally:
            if answer in self._asking:
                self._asking.remove(answer)

    def nothing_new(self, reason: str) -> None:
        """Note that the file is already in use, or could not be read for this reason."""
        if reason:
            self._answer("unreachable", reason)
        else:
            self._answer("unchanged", "the file is already in use")

    def observe(self, fact: journal.Fact) -> None:
        """Take a fact about the routes file into account."""
        match fact:
            case journal.ReloadFailed(problems=problems):
                self._answer("refused", "there are errors; the table in use stays", problems)
            case journal.RoutesLoaded(generation=generation):
                self._loaded = fact
                if generation == self._generation:
                    self._accepted("the file is already in use")
            case journal.TableActivated(generation=generation, previous=previous):
                self._generation = generation
                if previous is not None:
                    self._accepted(f"in use instead of {previous}")
            case journal.Stopping():
                self._answer("stopping", "the router is stopping and loads nothing more")
            case _:
                pass  # about messages and Machines

    def _accepted(self, detail: str) -> None:
        loaded = self._loaded or journal.RoutesLoaded(self._generation, ())
        self._answer("accepted", detail, (), loaded.warnings, loaded.changes)

    def _answer(self, outcome: Outcome, detail: str, *lines: tuple[str, ...]) -> None:
        """Answer everybody; `lines` are problems, warnings and changes."""
        answered = ReloadOutcome(outcome, self._generation, detail, *lines)
        asking, self._asking = self._asking, []
        for answer in asking:
            if not answer.done():
                answer.set_result(answered)


def reload_route(reload: Callable[[], Awaitable[ReloadOutcome]] | None, token: str | None) -> Route:
    """Return the route to ask for a reload with `token`; without one it is off."""

    async def ask(request: Request) -> Response:
        if token is None:
            return failure(
                403,
                "this is off, since the router has no LAMBDO_ADMIN_TOKEN; set one and send it as "
                "`Authorization: Bearer TOKEN`, or send the process a SIGHUP",
            )
        given = bearer(request)
        if given is None or not hmac.compare_digest(given.encode(), token.encode()):
            message = "send the header" if given is None else "this is not the token; send"
            return failure(
                401,
                f"{message} `Authorization: Bearer $LAMBDO_ADMIN_TOKEN`",
                {"WWW-Authenticate": 'Bearer realm="lambdo-router"'},
            )
        if reload is None:
            return failure(
                409,
                "there is no routes file: this router serves LAMBDO_SQS_QUEUE_URL by the contract "
                "of the original Lambdo",
            )
        outcome = await reload()
        return JsonAnswer(outcome, _STATUS[outcome.outcome])

    return Route("/-/reload", ask, methods=["POST"])
