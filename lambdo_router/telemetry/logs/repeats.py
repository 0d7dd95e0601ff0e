"""
What is repeated is summed up.

The first line of a topic is written at once. While it goes on, at most one line a minute says how
often it has happened and since when; the others are for DEBUG. When it has not happened again for
a minute (or for twice the pause before its next try), one more line says that it is over. Pure:
time is an argument.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

_MINUTE = 60.0
_TOPICS = 1000
"""That are remembered: what strangers write must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One point in time on both clocks: seconds that never jump, and unix seconds."""

    now: float
    wall: float


@dataclass(frozen=True, slots=True)
class Again:
    """A topic's line is to be written. `times`: how often since `since`, this time included."""

    times: int
    since: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Over:
    """A topic that was repeated has not come up any more."""

    event: str
    topic: Mapping[str, object]
    times: int
    since: float
    """Unix seconds, as `until`."""
    until: float


@dataclass(slots=True)
class _Episode:
    event: str
    topic: Mapping[str, object]
    first: Moment
    last: Moment
    written: float
    times: int
    patience: float

    @property
    def over_at(self) -> float:
        return self.last.now + self.patience

    def over(self) -> Over:
        return Over(self.event, self.topic, self.times, self.first.wall, self.last.wall)


class Repeats:
    """What has happened lately, by topic."""

    def __init__(self) -> None:
        self._episodes: OrderedDict[Hashable, _Episode] = OrderedDict()
        self._ended: list[Over] = []
        self._due = math.inf

    @property
    def due(self) -> float:
        """When to call `over` next, at the latest; infinite if there is nothing to wait for."""
        return self._due

    def take(
        self, event: str, topic: Mapping[str, object], pause: float, at: Moment
    ) -> Again | None:
        """
        Something has happened; None if it is not worth a line now.

        `topic` is what makes two lines of an event alike. `pause` are the seconds until it may
        happen again at the soonest.
        """
        key = (event, *topic.items())
        episode = self._episodes.get(key)
        if episode is None or at.now >= episode.over_at:
            if episode is not None:
                self._forget(key)
            episode = _Episode(event, topic, at, at, at.now, 0, 0.0)
            self._episodes[key] = episode
        episode.times += 1
        episode.last = at
        episode.patience = max(_MINUTE, 2 * pause)
        self._due = min(self._due, episode.over_at)
        if len(self._episodes) > _TOPICS:
            self._forget(next(iter(self._episodes)))
        if episode.times > 1 and at.now - episode.written < _MINUTE:
            return None
        episode.written = at.now
        return Again(episode.times, episode.first.wall)

    def over(self, now: float) -> list[Over]:
        """What has come to an end by now. What happened just once has had its line."""
        for key in [key for key, each in self._episodes.items() if now >= each.over_at]:
            self._forget(key)
        self._due = min((each.over_at for each in self._episodes.values()), default=math.inf)
        told, self._ended = self._ended, []
        return told

    def all_over(self) -> list[Over]:
        """The end of everything: the program stops."""
        return self.over(math.inf)

    def _forget(self, key: Hashable) -> None:
        episode = self._episodes.pop(key)
        if episode.times > 1:
            self._ended.append(episode.over())
            self._due = -math.inf
