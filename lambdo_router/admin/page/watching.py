"""
The page as it is now, for those who open it and those who have it open.

Everybody sees the same, so it is rendered once for all: at most every half second, and only while
somebody looks. The last few states are kept, so that one who has seen any of them is told what is
different since, and nothing else.
"""

import itertools
import math
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from lambdo_router.admin.page.assets import assets
from lambdo_router.admin.page.concerns import verdict
from lambdo_router.admin.page.rendering import Counts, Rendered, Renderer, patch
from lambdo_router.telemetry.status import Status

FRESH: Final = 0.5
"""Seconds for which a rendered state serves everybody."""
_KEPT: Final = 4


@dataclass(slots=True)
class Watching:
    """The states of the page, one after the other."""

    status: Callable[[], Status]
    flows: Callable[[float], Counts]
    """From the time to the messages of the last minute, by route and queue."""
    _renderer: Renderer = field(default_factory=Renderer)
    _kept: OrderedDict[str, Rendered] = field(default_factory=OrderedDict)
    _versions: Iterator[int] = field(default_factory=itertools.count)
    _boot: str = field(default_factory=lambda: secrets.token_hex(4))
    """Another process has seen other states under the same numbers."""
    rendered_at: float = -math.inf
    """When the status was last looked at, by the event loop's time."""

    def now(self, time: float) -> Rendered:
        """The state at `time` of the event loop, or one that is at most half a second old."""
        last = next(reversed(self._kept.values()), None)
        if last is not None and time - self.rendered_at < FRESH:
            return last
        status = self.status()
        regions = self._renderer.regions(status, self.flows(status.at))
        self.rendered_at = time
        if last is not None and last.regions == regions:
            return last
        version = f"{self._boot}-{next(self._versions)}"
        made = Rendered(version, status.at, *verdict(status), regions)
        self._kept[made.version] = made
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return made

    def seen(self, version: str) -> Rendered | None:
        """The state of this version, if it is still known."""
        return self._kept.get(version)


def change(before: Rendered | None, after: Rendered) -> dict[str, Any]:
    """What the script of the page is told; of one who has seen nothing, everything is different."""
    return {
        "at": after.at,
        "assets": assets().digest,
        "regions": patch({} if before is None else before.regions, after.regions),
    }
