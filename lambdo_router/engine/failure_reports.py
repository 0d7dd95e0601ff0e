"""
Reports of running Machines: which events of their batch failed.

A batch that is launched with `acknowledge: success` gets an address and a token of its own. The
Machine may report once which of its messages failed, in the shape that Lambda users know. The
report is written to Fly before it is accepted: a router that crashes after that must not take the
failed messages for done.
"""

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lambdo_router.core.errors import LaunchError
from lambdo_router.core.machine import ReportAddress
from lambdo_router.core.machine_metadata import FAILED, message_digest
from lambdo_router.core.ports import MachineWatcher

_LAUNCH_PATIENCE = 10.0
"""Seconds that a report waits for Fly's answer to the create: a quick job may come before it."""

_FORGET_EVERY = 60.0


class ReportError(Exception):
    """A report is not accepted; `status` is the HTTP status, the text the reason."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class _OpenReport:
    app: str
    token: str
    message_ids: frozenset[str]
    deadline: float
    machine: asyncio.Future[str]
    failed: frozenset[str] | None = None
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)


class FailureReports:
    """The batches that may report. Without a `base_url` none may, and only exit codes count."""

    def __init__(
        self,
        watcher: MachineWatcher,
        base_url: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` returns unix seconds."""
        self.base_url = base_url
        """The address of the router's own server, as Machines reach it."""
        self._watcher = watcher
        self._clock = clock
        self._open: dict[str, _OpenReport] = {}
        self._forget_at = 0.0

    def open(
        self, batch_id: str, app: str, message_ids: Sequence[str], deadline: float
    ) -> ReportAddress | None:
        """
        Let the Machine of this batch report, until `close` or some time after its deadline.

        A Machine goes on when its queue is not read any more, and its report counts for the router
        that takes it over; nobody closes it here. `deadline` is in unix seconds.
        """
        if self.base_url is None:
            return None
        now = self._clock()
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_EVERY
            over = [i for i, batch in self._open.items() if batch.deadline + _FORGET_EVERY < now]
            for old in over:
                self.close(old)
        token = secrets.token_urlsafe(32)
        machine: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._open[batch_id] = _OpenReport(app, token, frozenset(message_ids), deadline, machine)
        return ReportAddress(f"{self.base_url}/reports/{batch_id}", token)

    def launched(self, batch_id: str, machine_id: str) -> None:
        """Note which Machine Fly created for the batch."""
        batch = self._open.get(batch_id)
        if batch is not None and not batch.machine.done():
            batch.machine.set_result(machine_id)

    def close(self, batch_id: str) -> frozenset[str]:
        """Accept no more reports of a batch; return the messages that it reported as failed."""
        batch = self._open.pop(batch_id, None)
        if batch is None:
            return frozenset()
        batch.machine.cancel()
        return batch.failed or frozenset()

    def admit(self, batch_id: str, token: str) -> None:
        """
        Check that this token may report for this batch.

        Raises ReportRefused: 401 for a wrong token, 404 for a batch that is not running under this
        router (any more).
        """
        self._batch(batch_id, token)

    async def take(self, batch_id: str, token: str, failed: Iterable[str]) -> int:
        """
        Record a report and return how many messages it names.

        The same report is accepted again. Raises ReportRefused as `admit` does, and with 409 for a
        second report that differs, 422 for a message of another batch, 503 if Fly does not record
        it.
        """
        batch = self._batch(batch_id, token)
        named = frozenset(failed)
        if strange := named - batch.message_ids:
            raise ReportError(422, f"{len(strange)} of the messages are not of this batch")
        async with batch.writing:
            if batch.failed is not None and batch.failed != named:
                raise ReportError(409, "the batch has reported already, and otherwise")
            if batch.failed is None:
                await self._record(batch, named)
                batch.failed = named
        return len(named)

    def _batch(self, batch_id: str, token: str) -> _OpenReport:
        batch = self._open.get(batch_id)
        # The same answer for an unknown batch and a wrong token would hide a late report from its
        # runtime; a batch ID is a digest and reveals nothing.
        if batch is None:
            raise ReportError(404, "no such batch is running under this router")
        if not hmac.compare_digest(batch.token.encode(), token.encode()):
            raise ReportError(401, "the token is not this batch's")
        return batch

    async def _record(self, batch: _OpenReport, failed: frozenset[str]) -> None:
        if not failed:
            return
        joined = "".join(sorted(map(message_digest, failed)))
        try:
            async with asyncio.timeout(_LAUNCH_PATIENCE):
                machine_id = await asyncio.shield(batch.machine)
            await self._watcher.set_metadata(batch.app, machine_id, FAILED, joined)
        except (LaunchError, TimeoutError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not batch.machine.cancelled():
                raise
            raise ReportError(503, "the report could not be recorded; exit with 1") from error
