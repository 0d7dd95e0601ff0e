"""
Creates Machines, and finds one that may exist although no answer said so.

Nothing is retried here. A create whose answer was lost may have had its effect, so the caller
decides whether to repeat it, and must `find` the Machine first.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from lambdo_router.adapters.fly.answers import Answer, described, holder_of_name, shown
from lambdo_router.adapters.fly.client import Fields, FlyClient, machines_path, text_of
from lambdo_router.core.errors import LaunchError, LaunchUnavailable, MachineGone
from lambdo_router.core.machine import Machine, MachineRequest
from lambdo_router.core.machine_metadata import BATCH

SECOND_LOOK: Final = 0.5
"""Seconds between the two look-ups of `find`; Fly's own tool waits as long before it looks."""


class FlyLauncher(FlyClient):
    """A `ports.MachineLauncher`."""

    async def launch(self, request: MachineRequest) -> Machine:
        """
        Create the Machine, in one attempt. Raises LaunchUnavailable or LaunchRejected.

        If a Machine of that name lives, it is our own: an earlier attempt whose answer was lost,
        or an earlier delivery of the same messages. Then it is returned, as `adopted`.
        """
        answer = await self._call("POST", machines_path(request.app), body=request.body)
        answer = replace(answer, secrets=(*answer.secrets, *request.secrets))
        if answer.is_success:
            machine = _created(answer, request)
        elif (holder := holder_of_name(answer, request.name)) is not None:
            machine = await self._adopt(request, holder, answer)
        else:
            raise self._failure(answer, request.app)
        self._launched_just_now(machine.id)
        return machine

    async def find(self, request: MachineRequest) -> Machine | None:
        """
        Return the Machine of this very batch, even if destroyed; None if Fly shows none.

        A name alone proves nothing: it is free again once its Machine is destroyed, and a later
        delivery of the same messages makes the same one. So the batch id in the Machine's metadata
        decides. Nor does one empty list: Fly's lists lag, and whether its metadata filter knows
        destroyed Machines is not documented. So there are two looks, the second without a filter
        and a little later. Raises LaunchUnavailable, ambiguous, if Fly does not say.
        """
        filter_ = {f"metadata.{BATCH}": request.batch_id}
        others: set[str] = set()
        try:
            found = await self._look(request, filter_, others)
            if found is None:
                await asyncio.sleep(SECOND_LOOK)
                found = await self._look(request, {}, others)
        except LaunchError as error:
            # A code of its own: a rate-limited look-up says nothing about creates.
            raise LaunchUnavailable(
                f"cannot tell whether {request.name} was created: {error}",
                code="lookup",
                retry_after=error.retry_after if isinstance(error, LaunchUnavailable) else None,
                ambiguous=True,
            ) from error
        return found

    async def check(self, app: str) -> str | None:
        """
        Ask once, before the first launch, whether token and app will do.

        None if they will, else a note for the log about an answer that says neither yes nor no.
        Raises LaunchRejected for a wrong token or app, with what to do, and LaunchUnavailable if
        nothing answers.
        """
        await self._turn_to_list(app)
        query = {"limit": "1", "summary": "true"}
        answer = await self._call("GET", machines_path(app), query=query)
        if answer.is_success:
            if isinstance(answer.json(), list):
                return None
            said = shown(answer.text, answer.secrets)
            return f"{self._address} does not answer like a Machines API: {said}"
        error = self._list_failure(answer, app)
        if error.code in ("bad_token", "forbidden", "app_not_found", "unavailable", "deadline"):
            raise error
        return f"cannot tell whether the token is good for the app {app}: {described(answer)}"

    async def _adopt(self, request: MachineRequest, holder: str, answer: Answer) -> Machine:
        """Return the Machine that has the name, by ID or, if the answer has none, by name."""
        if holder:
            try:
                found = await self._call_machine("GET", request.app, holder)
            except LaunchUnavailable:
                return Machine(holder, request.name, region="", adopted=True)
            fields = found.fields()
            if not found.is_success or fields.get("name") == request.name:
                return Machine(holder, request.name, text_of(fields.get("region")), adopted=True)

        def living(fields: Fields) -> Machine | None:
            if fields.get("name") != request.name or fields.get("state") == "destroyed":
                return None
            return _machine(fields, request.name, adopted=True)

        with suppress(LaunchError):
            for machine in await self._list(request.app, {"summary": "true"}, living):
                return machine
        raise self._failure(answer, request.app)

    async def _look(
        self, request: MachineRequest, narrowed: Mapping[str, str], others: set[str]
    ) -> Machine | None:
        """One list; `others` are Machines of that name known to be of other batches."""
        query = {"include_deleted": "true", "summary": "true", **narrowed}

        def of_that_name(fields: Fields) -> Fields | None:
            return fields if fields.get("name") == request.name else None

        for fields in await self._list(request.app, query, of_that_name):
            machine_id = text_of(fields.get("id"))
            if not machine_id or machine_id in others:
                continue
            if await self._batch_of(request.app, machine_id, fields) == request.batch_id:
                return _machine(fields, request.name, adopted=True)
            others.add(machine_id)
        return None

    async def _batch_of(self, app: str, machine_id: str, listed: Fields) -> str | None:
        """Return the batch ID in a listed Machine's metadata; None if it has none or is gone."""
        if batch := _batch_in_config(listed):
            return batch
        try:
            metadata = await self._metadata_of(app, machine_id)
        except MachineGone:
            if listed.get("state") == "destroyed":
                return None
            raise
        return metadata.get(BATCH) or None


def _created(answer: Answer, request: MachineRequest) -> Machine:
    fields = answer.fields()
    if not text_of(fields.get("id")):
        raise LaunchUnavailable(
            f"Machines API: {answer.status}, but what it answers is no Machine: "
            f"{shown(answer.text, answer.secrets) or 'nothing'}",
            code="unreadable",
            ambiguous=True,
        )
    return _machine(fields, request.name, adopted=False)


def _machine(fields: Fields, name: str, *, adopted: bool) -> Machine:
    return Machine(
        id=text_of(fields.get("id")),
        name=text_of(fields.get("name")) or name,
        region=text_of(fields.get("region")),
        adopted=adopted,
    )


def _batch_in_config(fields: Fields) -> str:
    """Return the batch ID, if a list shows the Machines' configs."""
    config = fields.get("config")
    metadata = config.get("metadata") if isinstance(config, Mapping) else None
    return text_of(metadata.get(BATCH)) if isinstance(metadata, Mapping) else ""
