"""
The journal: what happened, as values.

The engine reports every step as one of these facts and does not know who reads them: logs, metrics,
traces, the status page, the live view of `dev`, and the tests. What the log shows of a fact is
declared in the fact itself, so a new log event is one class in one of these modules.
"""

from typing import Final

# One namespace in four files: a new fact needs no edit here.
from lambdo_router.core.journal.fact import *  # noqa: F403 - see above
from lambdo_router.core.journal.fact import Fact
from lambdo_router.core.journal.machines import *  # noqa: F403
from lambdo_router.core.journal.messages import *  # noqa: F403
from lambdo_router.core.journal.router import *  # noqa: F403

FACTS: Final[tuple[type[Fact], ...]] = tuple(
    it
    for it in tuple(globals().values())
    if isinstance(it, type) and issubclass(it, Fact) and hasattr(it, "log")
)
"""Every kind of fact."""
