"""
The Machines API over httpx: creates Machines, and finds one that may exist although no answer
said so.

Nothing is tried twice in here. A create whose answer was lost may have had its effect, so whether
it goes out again is for the caller to decide, who has first to `find` the Machine. Each failure
of httpx is translated once, in the table below, where it also says whether the request can have
reached Fly.

This is the only importer of httpx.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple, Self
from urllib.parse import quote

import httpx

from lambdo_router import __version__
from lambdo_router.errors import LaunchError, LaunchUnavailable
from lambdo_router.fly.address import (
    PUBLIC_API,
    authorization,
    full_address,
    is_private,
    secret_parts,
)
from lambdo_router.fly.answers import Answer, described, failure, holder_of_name, shown
from lambdo_router.launching import Machine, MachineRequest

SECOND_LOOK: Final = 0.5
"""Seconds between the two look-ups of `find`; Fly's own tool waits as long before it looks."""
_CONNECT: Final = 10.0
_PAGES: Final = 1000


class _Lost(NamedTuple):
    words: str
    sent: bool
    """Whether Fly may have got the request."""


TRANSPORT_FAILURES: Final[Mapping[type[httpx.RequestError], _Lost]] = {
    httpx.ConnectError: _Lost("cannot connect", sent=False),
    httpx.ConnectTimeout: _Lost("no connection in time", sent=False),
    httpx.PoolTimeout: _Lost("all connections are in use", sent=False),
    httpx.ProxyError: _Lost("the proxy refuses", sent=False),
    httpx.UnsupportedProtocol: _Lost("the address is not http or https", sent=False),
    httpx.LocalProtocolError: _Lost("the request breaks HTTP", sent=True),
    httpx.WriteError: _Lost("the connection broke while sending", sent=True),
    httpx.WriteTimeout: _Lost("the request was not taken in time", sent=True),
    httpx.ReadError: _Lost("the connection broke", sent=True),
    httpx.ReadTimeout: _Lost("no answer in time", sent=True),
    httpx.RemoteProtocolError: _Lost("the answer was cut off or breaks HTTP", sent=True),
    httpx.CloseError: _Lost("the connection did not close", sent=True),
    httpx.DecodingError: _Lost("the answer cannot be decoded", sent=True),
    httpx.TooManyRedirects: _Lost("the answer leads in circles", sent=True),
    # What the ones above have in common, in case httpx grows another.
    httpx.TimeoutException: _Lost("no answer in time", sent=True),
    httpx.NetworkError: _Lost("the connection broke", sent=True),
    httpx.ProtocolError: _Lost("the answer breaks HTTP", sent=True),
    httpx.TransportError: _Lost("the connection failed", sent=True),
    httpx.RequestError: _Lost("the request failed", sent=True),
}


class FlyLauncher:
    """
    One token's way to the Machines API; a `ports.MachineLauncher`. Close it, or use `async with`.

    The token is in the requests and nowhere else: not in `repr`, and no error repeats it, even
    where an answer does.
    """

    def __init__(
        self,
        *,
        token: str,
        base_url: str = PUBLIC_API,
        timeout: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """
        `base_url` may lack its scheme and may end in `/` or `/v1`. `timeout` is the longest wait
        for an answer, in seconds; a create takes 1 to 3 as a rule. `transport` carries the requests
        in place of TCP.

        Raises SettingsError for an address or a token that cannot be right.
        """
        self._address = full_address(base_url)
        self._timeout = timeout
        self._secrets = secret_parts(token)
        self._client = httpx.AsyncClient(
            headers={
                "Authorization": authorization(token),
                "Accept": "application/json",
                "User-Agent": f"lambdo-router/{__version__}",
            },
            timeout=httpx.Timeout(timeout, connect=min(_CONNECT, timeout)),
            transport=transport,
            trust_env=not is_private(self._address),
        )

    def __repr__(self) -> str:
        return f"FlyLauncher({self._address!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; calls under way fail."""
        await self._client.aclose()

    async def launch(self, request: MachineRequest) -> Machine:
        """
        Create the Machine, in one attempt. Raises LaunchUnavailable or LaunchRejected.

        If a Machine of that name lives, it is our own: an earlier attempt whose answer was lost,
        or an earlier delivery of the same messages. Then it is returned, as `adopted`.
        """
        answer = await self._call("POST", _machines(request.app), body=request.body)
        if answer.is_success:
            return _created(answer, request)
        holder = holder_of_name(answer, request.name)
        if holder is None:
            raise failure(answer, request.app, time.time())
        return await self._adopt(request, holder, answer)

    async def find(self, request: MachineRequest) -> Machine | None:
        """
        The Machine of this very batch, destroyed ones included; None if none is to be seen.

        A name alone proves nothing: it is free again once its Machine is destroyed, and a later
        delivery of the same messages makes the same one. So the batch id in the Machine's metadata
        decides. Nor does one empty list: Fly's lists lag, and whether its metadata filter knows
        destroyed Machines is not documented. So there are two looks, the second without a filter
        and a little later. Raises LaunchUnavailable, ambiguous, if Fly does not say.
        """
        filter_ = {"metadata.lambdo_batch": request.batch_id}
        others: set[str] = set()
        try:
            found = await self._look(request, filter_, others)
            if found is None:
                await asyncio.sleep(SECOND_LOOK)
                found = await self._look(request, {}, others)
        except LaunchError as error:
            # A code of its own: a look-up that is one too many says nothing about creates.
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
        answer = await self._call("GET", _machines(app), query={"limit": "1", "summary": "true"})
        if answer.is_success:
            if isinstance(answer.json(), list):
                return None
            said = shown(answer.text, answer.secrets)
            return f"{self._address} does not answer like a Machines API: {said}"
        error = failure(answer, app, time.time())
        if error.code in ("bad_token", "forbidden", "app_not_found", "unavailable", "deadline"):
            raise error
        return f"cannot tell whether the token is good for the app {app}: {described(answer)}"

    async def _adopt(self, request: MachineRequest, holder: str, answer: Answer) -> Machine:
        """The Machine that holds our name already: by its id, or by the name where none is said."""
        if holder:
            try:
                found = await self._call("GET", f"{_machines(request.app)}/{quote(holder, '')}")
            except LaunchUnavailable:
                return Machine(holder, request.name, region="", adopted=True)
            fields = found.fields()
            if not found.is_success or fields.get("name") == request.name:
                return Machine(holder, request.name, _text(fields.get("region")), adopted=True)
        with suppress(LaunchError):
            for fields in await self._list(request.app, {"summary": "true"}):
                if fields.get("name") == request.name and fields.get("state") != "destroyed":
                    return _machine(fields, request.name, adopted=True)
        raise failure(answer, request.app, time.time())

    async def _look(
        self, request: MachineRequest, narrowed: Mapping[str, str], others: set[str]
    ) -> Machine | None:
        """One list; `others` are Machines of that name known to be of other batches."""
        query = {"include_deleted": "true", "summary": "true", **narrowed}
        for fields in await self._list(request.app, query):
            machine_id = _text(fields.get("id"))
            if not machine_id or machine_id in others or fields.get("name") != request.name:
                continue
            if await self._batch_of(request.app, machine_id, fields) == request.batch_id:
                return _machine(fields, request.name, adopted=True)
            others.add(machine_id)
        return None

    async def _batch_of(
        self, app: str, machine_id: str, listed: Mapping[str, object]
    ) -> str | None:
        """The batch id in a listed Machine's metadata; None if it has none or is gone for good."""
        if batch := _batch(_config_metadata(listed)):
            return batch
        path = f"{_machines(app)}/{quote(machine_id, '')}"
        answer = await self._call("GET", f"{path}/metadata")
        if answer.is_success and (batch := _batch(answer.fields())):
            return batch
        if not answer.is_success and answer.status not in (404, 405, 501):
            raise failure(answer, app, time.time())
        # The Machine itself has its metadata too, and Fly promises neither for a destroyed one.
        answer = await self._call("GET", path)
        if answer.is_success:
            return _batch(_config_metadata(answer.fields()))
        if answer.status == httpx.codes.NOT_FOUND and listed.get("state") == "destroyed":
            return None
        raise failure(answer, app, time.time())

    async def _list(self, app: str, query: Mapping[str, str]) -> list[Mapping[str, object]]:
        """The Machines of a list, of all its pages if the API cuts it into pages."""
        listed: list[Mapping[str, object]] = []
        cursor = ""
        for _ in range(_PAGES):
            page = {**query, "cursor": cursor} if cursor else query
            answer = await self._call("GET", _machines(app), query=page)
            if not answer.is_success:
                raise failure(answer, app, time.time())
            machines = answer.json()
            if not isinstance(machines, list):
                said = shown(answer.text, answer.secrets)
                raise LaunchUnavailable(
                    f"Machines API: the list of Machines is none: {said}", code="unreadable"
                )
            listed += (fields for fields in machines if isinstance(fields, Mapping))
            last, cursor = cursor, answer.headers.get("fly-next-cursor", "")
            if cursor in ("", last):
                break
        return listed

    async def _call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: str = ""
    ) -> Answer:
        """One request and its answer, whatever it says. LaunchUnavailable if there is none."""
        try:
            # httpx counts its timeout anew with every byte that comes; this one does not.
            async with asyncio.timeout(_CONNECT + 2 * self._timeout):
                response = await self._client.request(
                    method,
                    self._address + path,
                    params=query,
                    content=body.encode() if body else None,
                    headers={"Content-Type": "application/json"} if body else None,
                )
        except (httpx.RequestError, OSError) as error:
            # OSError: that timeout, and TLS errors in mid-stream, which httpx lets through.
            raise self._lost(error) from error
        return Answer(response.status_code, dict(response.headers), response.text, self._secrets)

    def _lost(self, error: httpx.RequestError | OSError) -> LaunchUnavailable:
        kinds: list[type] = type(error).mro()
        if isinstance(error, OSError):
            kinds = [httpx.ReadTimeout if isinstance(error, TimeoutError) else httpx.ReadError]
        lost = next(TRANSPORT_FAILURES[kind] for kind in kinds if kind in TRANSPORT_FAILURES)
        reason = f" ({shown(str(error), self._secrets)})" if str(error) else ""
        return LaunchUnavailable(
            f"Machines API at {self._address}: {lost.words}{reason}",
            code="connection",
            ambiguous=lost.sent,
        )


def _machines(app: str) -> str:
    return f"/v1/apps/{quote(app, '')}/machines"


def _created(answer: Answer, request: MachineRequest) -> Machine:
    fields = answer.fields()
    if not _text(fields.get("id")):
        raise LaunchUnavailable(
            f"Machines API: {answer.status}, but what it answers is no Machine: "
            f"{shown(answer.text, answer.secrets) or 'nothing'}",
            code="unreadable",
            ambiguous=True,
        )
    return _machine(fields, request.name, adopted=False)


def _machine(fields: Mapping[str, object], name: str, *, adopted: bool) -> Machine:
    return Machine(
        id=_text(fields.get("id")),
        name=_text(fields.get("name")) or name,
        region=_text(fields.get("region")),
        adopted=adopted,
    )


def _config_metadata(fields: Mapping[str, object]) -> object:
    config = fields.get("config")
    return config.get("metadata") if isinstance(config, Mapping) else None


def _batch(metadata: object) -> str | None:
    found = metadata.get("lambdo_batch") if isinstance(metadata, Mapping) else None
    return _text(found) or None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
