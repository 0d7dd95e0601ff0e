"""Keys that are renewed in time, and never waited for on the event loop while they are good."""

import asyncio
from typing import Final

from botocore.credentials import Credentials, ReadOnlyCredentials, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError

from lambdo_router.adapters.daemon_thread import in_daemon_thread

_LAST_MINUTE: Final = 60
"""Seconds before their end from when keys count as run out."""
_AGAIN_AFTER: Final = 60.0
"""Seconds from one renewal to the next while the keys are still good."""
_LONGEST_WAIT: Final = 30.0
"""Seconds that a call waits for a renewal."""


class CurrentKeys:
    """
    The keys of one identity: the router's own, or those of a role.

    botocore finds and renews them, each kind from a quarter of an hour before its end. That may
    take a request or a program, so it happens in a thread, once for all who wait.
    """

    def __init__(self, source: Credentials) -> None:
        self._source = source
        self._keys: ReadOnlyCredentials | None = None
        self._renewing: asyncio.Task[ReadOnlyCredentials] | None = None
        self._renew_from = 0.0

    async def get(self) -> ReadOnlyCredentials:
        """Return keys that are good for a minute at least. Raises botocore's errors."""
        if self._keys is None or self._ends_within(_LAST_MINUTE):
            return await self._renewed()
        now = asyncio.get_running_loop().time()
        if self._ends_within(None) and now >= self._renew_from:
            self._renew_from = now + _AGAIN_AFTER
            self._renewal()
        return self._keys

    def _ends_within(self, seconds: int | None) -> bool:
        """None: the time that botocore has for a renewal."""
        source = self._source
        return isinstance(source, RefreshableCredentials) and source.refresh_needed(seconds)

    async def _renewed(self) -> ReadOnlyCredentials:
        try:
            async with asyncio.timeout(_LONGEST_WAIT):
                return await asyncio.shield(self._renewal())
        except TimeoutError:
            said = f"nothing came within {_LONGEST_WAIT:.0f} s"
            raise CredentialRetrievalError(provider=self._source.method, error_msg=said) from None

    def _renewal(self) -> "asyncio.Task[ReadOnlyCredentials]":
        """Return the one that is under way, or begin one."""
        if self._renewing is None:
            call = in_daemon_thread(self._source.get_frozen_credentials, "credentials")
            self._renewing = asyncio.create_task(call)
            self._renewing.add_done_callback(self._take)
        return self._renewing

    def _take(self, renewing: "asyncio.Task[ReadOnlyCredentials]") -> None:
        self._renewing = None
        if not renewing.cancelled() and renewing.exception() is None:
            self._keys = renewing.result()
