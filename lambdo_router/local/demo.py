"""
What `demo` needs: the example files, what became of each message, and how that differs from what
its file expects.

`Outcomes` observes the router's journal and the Machines, and keeps the latest state of each
message.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import lambdo_router
from lambdo_router.config.messages import Ending, Expectation, Sample
from lambdo_router.core import journal
from lambdo_router.core.errors import LambdoError
from lambdo_router.core.routing import Reason, Refused, RoutingTable
from lambdo_router.core.settlement import Settlement
from lambdo_router.local.runtimes import HANDLER, Runtime, runtime_for

ROUTES_FILE: Final = "routes.example.yaml"
_PACKAGED: Final = "example"
"""The folder of the package that holds the example files where it was installed from a wheel."""


class NoExample(LambdoError):
    """The example files are missing."""


def example_folder() -> Path:
    """Return the folder of routes.example.yaml, schemas/ and examples/. Raises NoExample."""
    package = Path(lambdo_router.__file__).parent
    for folder in (package / _PACKAGED, package.parent):
        if (folder / ROUTES_FILE).is_file():
            return folder
    raise NoExample(
        f"{ROUTES_FILE} is neither in {package / _PACKAGED} nor in {package.parent}; "
        "this installation is not complete: reinstall lambdo-router"
    )


def runtime_of(table: RoutingTable, sample: Sample) -> Runtime | None:
    """Return the runtime that calls the function of the route that the sample expects, if any."""
    expected = sample.expect.route if sample.expect is not None else None
    for route in table.routes:
        if route.name == expected and route.profile.command is None:
            return runtime_for(dict(route.profile.env).get(HANDLER, ""))
    return None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of one message so far."""

    received: bool = False
    route: str | None = None
    reason: Reason | None = None
    """Why it is not part of a batch."""
    detail: str = ""
    """More of the reason, or the last thing that went wrong."""
    machine: str | None = None
    events: int | None = None
    """How many the Machine was given."""
    exit_code: int | None = None
    settlement: Ending | None = None

    @property
    def is_final(self) -> bool:
        """Whether it is settled for good, and its Machine, if it got one, has ended."""
        has_ended = self.machine is None or self.exit_code is not None
        return self.settlement is not None and has_ended

    def missing(self) -> str:
        """Return what is still missing before the outcome is final; empty if nothing is."""
        if not self.received:
            return "the router has not received it"
        if self.settlement is None:
            doing = f"it is not settled ({self.detail})" if self.detail else "it is not settled"
            return doing if self.machine is None else f"{doing}, but has the Machine {self.machine}"
        return "" if self.is_final else f"its Machine {self.machine} has not ended"


@dataclass(slots=True)
class Outcomes:
    """The outcome of every message, by message id."""

    _of: defaultdict[str, Outcome] = field(default_factory=lambda: defaultdict(Outcome))
    _exit_codes: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, message_id: str) -> Outcome:
        outcome = self._of.get(message_id, Outcome())
        if outcome.machine is None:
            return outcome
        # A quick Machine may end before the router has heard that it was created.
        return replace(outcome, exit_code=self._exit_codes.get(outcome.machine))

    def are_final(self, message_ids: Iterable[str]) -> bool:
        """Return whether all of these are final."""
        return all(self[message_id].is_final for message_id in message_ids)

    def machine_ended(self, machine_id: str, exit_code: int) -> None:
        """Note that a Machine's command has ended."""
        self._exit_codes[machine_id] = exit_code

    def observe(self, fact: journal.Fact) -> None:
        """Note a fact of the journal: an Observer."""
        match fact:
            case journal.Received(message=message):
                self._note((message.id,), received=True)
            case journal.Decided(message_id=message_id, decision=decision):
                reason, detail = None, ""
                if isinstance(decision, Refused):
                    reason, detail = decision.reason, decision.detail
                route = decision.route.name if decision.route is not None else None
                self._note((message_id,), route=route, reason=reason, detail=detail)
            case journal.Launched(batch=batch, machine=machine):
                self._note(batch.message_ids, machine=machine.id, events=len(batch.entries))
            case journal.LaunchFailed(batch=batch, error=failure):
                self._note(batch.message_ids, detail=str(failure))
            case journal.Settled(message_id=message_id, settlement=settlement):
                self._settled(message_id, settlement)
            case journal.SettlementFailed(message_ids=message_ids, why=why):
                self._note(message_ids, detail=why)
            case journal.InternalError(message_ids=message_ids, error=error):
                self._note(message_ids, detail=f"{type(error).__name__}: {error}")
            case _:
                pass

    def _settled(self, message_id: str, settlement: Settlement) -> None:
        ids = (message_id,)
        if settlement.outcome == "retried":
            self._note(ids, settlement=None, detail=f"will be retried: {settlement.detail}")
        elif settlement.outcome == "deleted":
            dropped = settlement.reason == "dropped"
            self._note(ids, settlement="dropped" if dropped else "deleted")
        else:
            self._note(
                ids,
                settlement=settlement.outcome,
                reason=settlement.reason,
                detail=settlement.detail,
            )

    def _note(self, message_ids: Iterable[str], **changes: object) -> None:
        for message_id in message_ids:
            self._of[message_id] = replace(self._of[message_id], **changes)  # type: ignore[arg-type]


def differences(expected: Expectation, outcome: Outcome) -> Iterator[str]:
    """Yield, in words, where the outcome is not as expected."""
    for name in ("route", "reason", "exit_code", "events", "settlement"):
        wanted, found = getattr(expected, name), getattr(outcome, name)
        if wanted is not None and wanted != found:
            is_ = "none" if found is None else found
            yield f"{name.replace('_', ' ')} is {is_}, expected {wanted}"
    if expected.reason is None and outcome.reason is not None:
        yield f"it was refused as {outcome.reason}: {outcome.detail}"
