"""
What running Machines report about single events: which of a batch failed.

A batch that is launched with `acknowledge: success` gets an address and a token of its own. The
Machine may say once which of its messages failed, in the shape that Lambda's users know. What it
says is written to Fly before it is accepted: a router that crashes after that must not take the
failed ones for done.
"""

import asyncio
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lambdo_router.core.errors import LaunchError
from lambdo_router.core.machine import ReportAddress, message_digest
from lambdo_router.core.ports import MachineWatcher
from lambdo_router.engine.previous_launches import FAILED

_LAUNCH_PATIENCE = 10.0
"""Seconds that a report waits for Fly's answer to the create: a quick job may come before it."""

_FORGET_EVERY = 60.0


class ReportRefused(Exception):
    """A report that is not taken; `status` is its HTTP status, the text says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class _Open:
    app: str
    token: str
    message_ids: frozenset[str]
    deadline: float
    machine: asyncio.Future[str]
    failed: frozenset[str] | None = None
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)


class FailureReports:
    """The batches that may report. With no `base_url` none may, and exit codes speak alone."""

    def __init__(self, watcher: MachineWatcher, base_url: str | None = None) -> None:
        self.base_url = base_url
        """Where Machines reach the router's own server."""
        self._watcher = watcher
        self._open: dict[str, _Open] = {}
        self._forget_at = 0.0

    def open(
        self, batch_id: str, app: str, message_ids: Sequence[str], *, deadline: float, now: float
    ) -> ReportAddress | None:
        """
        Let the Machine of this batch report, until `close` or some time after its deadline.

        A Machine whose queue is read no more goes on, and what it reports counts for whoever takes
        it over; nobody closes it here. Times are unix seconds.
        """
        if self.base_url is None:
            return None
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_EVERY
            over = [i for i, batch in self._open.items() if batch.deadline + _FORGET_EVERY < now]
            for old in over:
                self.close(old)
        token = secrets.token_urlsafe(32)
        machine: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._open[batch_id] = _Open(app, token, frozenset(message_ids), deadline, machine)
        return ReportAddress(f"{self.base_url}/reports/{batch_id}", token)

    def launched(self, batch_id: str, machine_id: str) -> None:
        """Fly has said which Machine it is."""
        batch = self._open.get(batch_id)
        if batch is not None and not batch.machine.done():
            batch.machine.set_result(machine_id)

    def close(self, batch_id: str) -> frozenset[str]:
        """The Machine has ended, or was not launched; the messages it reported as failed."""
        batch = self._open.pop(batch_id, None)
        if batch is None:
            return frozenset()
        batch.machine.cancel()
        return batch.failed or frozenset()

    def admit(self, batch_id: str, token: str) -> None:
        """
        Make sure that this token may report for this batch.

        Raises ReportRefused: 401 for a wrong token, 404 for a batch that is not (or no more)
        running under this router.
        """
        self._batch(batch_id, token)

    async def take(self, batch_id: str, token: str, failed: Iterable[str]) -> int:
        """
        Record a report; how many messages it names.

        A repetition of the same report is taken again. Raises ReportRefused as `admit` does, and
        409 for a second report that differs, 422 for a message of another batch, 503 if Fly does
        not record it.
        """
        batch = self._batch(batch_id, token)
        named = frozenset(failed)
        if strange := named - batch.message_ids:
            raise ReportRefused(422, f"{len(strange)} of the messages are not of this batch")
        async with batch.writing:
            if batch.failed is not None and batch.failed != named:
                raise ReportRefused(409, "the batch has reported already, and otherwise")
            if batch.failed is None:
                await self._record(batch, named)
                batch.failed = named
        return len(named)

    def _batch(self, batch_id: str, token: str) -> _Open:
        batch = self._open.get(batch_id)
        # The same answer for an unknown batch and a wrong token would hide a late report from its
        # runtime; a batch id is a digest and tells nobody anything.
        if batch is None:
            raise ReportRefused(404, "no such batch is running under this router")
        if not hmac.compare_digest(batch.token.encode(), token.encode()):
            raise ReportRefused(401, "the token is not this batch's")
        return batch

    async def _record(self, batch: _Open, failed: frozenset[str]) -> None:
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
            raise ReportRefused(503, "the report could not be recorded; exit with 1") from error
