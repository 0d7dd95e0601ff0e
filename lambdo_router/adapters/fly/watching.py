"""
Machines after their launch: lists, ends and metadata.

Lists lag, and an empty one has been wrong, so they only show where to look. Only a Machine's own
events show its end, and only two answers that agree show that a Machine is unknown.
"""

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from lambdo_router.adapters.fly.answers import shown
from lambdo_router.adapters.fly.client import Fields, FlyClient, text_of
from lambdo_router.adapters.fly.ends import machine_end, unix_time
from lambdo_router.core.errors import LaunchUnavailable
from lambdo_router.core.machine import NAME_PREFIX
from lambdo_router.core.machine_metadata import ROUTER
from lambdo_router.core.ports import MachineEnd, MachineSummary

SECOND_LOOK: Final = 0.5
"""Seconds until a list that was altogether empty is asked for again."""


class FlyWatcher(FlyClient):
    """A `ports.MachineWatcher`."""

    async def living(self, app: str) -> Sequence[MachineSummary]:
        """
        Return the router's Machines that are not destroyed, in one list without payloads.

        One that is being destroyed still counts: its exit may not have been told.
        """
        query = {"summary": "true", f"metadata.{ROUTER}": "1"}
        sightings = await self._list(app, query, _sighting)
        return [sighting for sighting in sightings if not sighting.ended]

    async def launched_since(self, app: str, since: float) -> Sequence[MachineSummary]:
        """
        Return the router's Machines created since that unix time, including destroyed ones.

        Fly does not say whether its metadata filter knows destroyed Machines, so names decide, and
        a Machine whose creation the list does not tell counts. A list that shows no Machine at all,
        of anybody, is asked for twice. It may still lag by some seconds.
        """
        # A list may have whole seconds only.
        from_ = math.floor(since)
        shown_at_all = False

        def recent(fields: Fields) -> MachineSummary | None:
            nonlocal shown_at_all
            shown_at_all = True
            sighting = _sighting(fields)
            old = sighting is not None and 0.0 < sighting.created_at < from_
            return None if old else sighting

        query = {"include_deleted": "true", "summary": "true"}
        found = await self._list(app, query, recent)
        if not shown_at_all:
            await asyncio.sleep(SECOND_LOOK)
            found = await self._list(app, query, recent)
        return found

    async def end_of(
        self, app: str, machine_id: str, *, at_rest: bool = False
    ) -> MachineEnd | None:
        """
        Return how the Machine ended; None while it has not, or while an exit event may still come.

        `at_rest`: lists show it so. One that failed is destroyed by nobody, and Fly does not say
        what its events tell: so where they leave it open the Machine itself is asked.
        Raises MachineGone if Fly does not know the Machine: it never was, or ended two days ago.
        """
        # The events that come with the Machine are no more than five, one less than a plain run.
        answer = await self._call_machine("GET", app, machine_id, "/events", query={"limit": "50"})
        if answer.status == HTTPStatus.NOT_FOUND:
            # One 404 may be wrong: the Machine itself must be unknown as well.
            itself = await self._call_machine("GET", app, machine_id)
            if not itself.is_success:
                raise self._machine_failure(itself, app, machine_id)
            raise LaunchUnavailable(
                f"Machines API: the Machine {machine_id} is there, its events are not",
                code="unreadable",
            )
        if not answer.is_success:
            raise self._failure(answer, app)
        events = answer.json()
        if not isinstance(events, list):
            said = shown(answer.text, answer.secrets) or "nothing"
            raise LaunchUnavailable(
                f"Machines API: the events of the Machine {machine_id} are no list: {said}",
                code="unreadable",
            )
        end = machine_end(events)
        if end is None and at_rest and await self._has_failed(app, machine_id):
            end = machine_end(events, failed=True)
        return None if end is None else replace(end, error=shown(end.error, answer.secrets))

    async def _has_failed(self, app: str, machine_id: str) -> bool:
        answer = await self._call_machine("GET", app, machine_id)
        if not answer.is_success:
            raise self._machine_failure(answer, app, machine_id)
        return answer.fields().get("state") == "failed"

    async def metadata(self, app: str, machine_id: str) -> Mapping[str, str]:
        """Its metadata, also after its end. Raises MachineGone."""
        return await self._metadata_of(app, machine_id)

    async def set_metadata(self, app: str, machine_id: str, key: str, value: str) -> None:
        """Set one key of its metadata; no restart. Raises MachineGone."""
        answer = await self._call_machine(
            "POST",
            app,
            machine_id,
            f"/metadata/{quote(key, '')}",
            body=json.dumps({"value": value}),
        )
        if not answer.is_success:
            raise self._machine_failure(answer, app, machine_id)

    async def destroy(self, app: str, machine_id: str) -> None:
        """Kill and destroy it; one that is gone already is no error."""
        # Fly documents `force`; its own clients send `kill`.
        query = {"force": "true", "kill": "true"}
        answer = await self._call_machine("DELETE", app, machine_id, query=query)
        if answer.is_success:
            return
        error = self._machine_failure(answer, app, machine_id)
        if error.code != "machine_gone":
            raise error


def _sighting(fields: Fields) -> MachineSummary | None:
    """Return a listed Machine if it is one of the router's."""
    machine_id, name = text_of(fields.get("id")), text_of(fields.get("name"))
    if not machine_id or not name.startswith(NAME_PREFIX):
        return None
    return MachineSummary(
        id=machine_id,
        name=name,
        region=text_of(fields.get("region")),
        created_at=unix_time(fields.get("created_at")) or 0.0,
        ended=fields.get("state") == "destroyed",
        state=text_of(fields.get("state")),
        host=text_of(fields.get("host_status")),
    )
