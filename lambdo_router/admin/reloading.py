"""
`POST /-/reload`: load the routes file now, and say what came of it.

The file is watched anyway. Asking is for whoever wants to know that a deployed file is in use, or
why it is not: the answer comes when the new table is, with what is different, or with everything
that is wrong.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lambdo_router.admin.answers import JsonAnswer, bearer, failure
from lambdo_router.core import journal

_PATIENCE: Final = 60.0
"""Seconds; a routes file that is fetched from elsewhere takes a while."""

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
    """What came of it."""

    outcome: Outcome
    generation: str
    """Of the table in use."""
    detail: str
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


@dataclass(slots=True)
class Reloading:
    """Asks for a reload, and hears from the journal what comes of it."""

    nudge: asyncio.Event
    """What whoever loads the file waits for."""
    _generation: str = ""
    _loaded: journal.RoutesLoaded | None = None
    _asking: list[asyncio.Future[ReloadOutcome]] = field(default_factory=list)

    async def ask(self) -> ReloadOutcome:
        """The outcome, once it is known; `pending` if that takes more than a minute."""
        answer: asyncio.Future[ReloadOutcome] = asyncio.get_running_loop().create_future()
        self._asking.append(answer)
        self.nudge.set()
        try:
            async with asyncio.timeout(_PATIENCE):
                return await answer
        except TimeoutError:
            detail = f"nothing came of it within {_PATIENCE:.0f} s; GET /status tells later"
            return ReloadOutcome("pending", self._generation, detail)
        finally:
            if answer in self._asking:
                self._asking.remove(answer)

    def nothing_new(self, reason: str) -> None:
        """The file was looked at and is what is in use; or could not be, for this reason."""
        if reason:
            self._answer(ReloadOutcome("unreachable", self._generation, reason))
        else:
            detail = "what is there is in use already"
            self._answer(ReloadOutcome("unchanged", self._generation, detail))

    def observe(self, fact: journal.Fact) -> None:
        """What the journal says about the routes file: an Observer."""
        match fact:
            case journal.ReloadFailed(problems=problems):
                detail = "there are errors; the table in use stays"
                self._answer(ReloadOutcome("refused", self._generation, detail, problems))
            case journal.RoutesLoaded(generation=generation):
                self._loaded = fact
                if generation == self._generation:
                    self._accepted("the file is again what is in use")
            case journal.TableActivated(generation=generation, previous=previous):
                self._generation = generation
                if previous is not None:
                    self._accepted(f"in use instead of {previous}")
            case journal.Stopping():
                detail = "the router stops and loads nothing more"
                self._answer(ReloadOutcome("stopping", self._generation, detail))
            case _:
                pass  # about messages and Machines

    def _accepted(self, detail: str) -> None:
        loaded = self._loaded
        warnings = () if loaded is None else loaded.warnings
        changes = () if loaded is None else loaded.changes
        self._answer(ReloadOutcome("accepted", self._generation, detail, (), warnings, changes))

    def _answer(self, outcome: ReloadOutcome) -> None:
        asking, self._asking = self._asking, []
        for answer in asking:
            if not answer.done():
                answer.set_result(outcome)


def reload_route(reload: Callable[[], Awaitable[ReloadOutcome]] | None, token: str | None) -> Route:
    """Where to ask for a reload, with `token`. With no token nobody may."""

    async def ask(request: Request) -> Response:
        if token is None:
            return failure(
                403,
                "this is off, since the router has no LAMBDO_ADMIN_TOKEN; set one and send it as "
                "`Authorization: Bearer TOKEN`, or send the process a SIGHUP",
            )
        given = bearer(request)
        if given is None or not hmac.compare_digest(given.encode(), token.encode()):
            said = "send the header" if given is None else "this is not the token; send"
            return failure(
                401,
                f"{said} `Authorization: Bearer $LAMBDO_ADMIN_TOKEN`",
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
