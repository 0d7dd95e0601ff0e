"""
Fold repeated log lines.

The first line of a topic is written at once. While it goes on, at most one line a minute says how
often it has happened and since when; the others are for DEBUG. When it has not happened for a
minute (or for twice the pause before its next try), one more line says that it is over. Pure: time
is an argument.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

_MINUTE = 60.0
_TOPICS = 1000
"""The most topics to remember: what senders write must not fill the memory."""


@dataclass(slots=True)
class Episode:
    """A topic that goes on."""

    event: str
    topic: Mapping[str, object]
    since: float
    """Unix seconds of the first time."""
    until: float
    """Unix seconds of the last time."""
    times: int = 0
    written_at: float = -math.inf
    """When its last line was written, and when it is over, on the clock that never jumps."""
    over_at: float = math.inf


class Repeats:
    """The topics of late. `now` is a clock that never jumps, `unix` the time of day."""

    def __init__(self) -> None:
        self._episodes: OrderedDict[Hashable, Episode] = OrderedDict()
        self._ended: list[Episode] = []
        self.due = math.inf
        """When to call `over` next; infinite if nothing is repeated."""

    def take(
        self, event: str, topic: Mapping[str, object], pause: float, now: float, unix: float
    ) -> Episode | None:
        """
        Count an occurrence; return its episode if a line is to be written now.

        `pause` are the seconds until the next one, at the earliest.
        """
        key = (event, *topic.items())
        episode = self._episodes.get(key)
        if episode is None or now >= episode.over_at:
            if episode is not None:
                self._end(key)
            episode = self._episodes[key] = Episode(event, topic, unix, unix)
        episode.times += 1
        episode.until = unix
        episode.over_at = now + max(_MINUTE, 2 * pause)
        self.due = min(self.due, episode.over_at)
        if len(self._episodes) > _TOPICS:
            self._end(next(iter(self._episodes)))
        if now - episode.written_at < _MINUTE:
            return None
        episode.written_at = now
        return episode

    def over(self, now: float) -> list[Episode]:
        """Return the repeats that have ended by now; infinity ends them all."""
        for key in [key for key, each in self._episodes.items() if now >= each.over_at]:
            self._end(key)
        self.due = min((each.over_at for each in self._episodes.values()), default=math.inf)
        ended, self._ended = self._ended, []
        return ended

    def _end(self, key: Hashable) -> None:
        episode = self._episodes.pop(key)
        if episode.times > 1:  # a single occurrence has had its line
            self._ended.append(episode)
            self.due = -math.inf
