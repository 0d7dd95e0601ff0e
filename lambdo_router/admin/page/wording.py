"""How the page says numbers, times and states. Pure; times are unix seconds, shown in UTC."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_HARDLY: Final = 0.005
_TEN: Final = 10.0
_KILO: Final = 1000

STATE_WORDS: Final[Mapping[str, str]] = {
    "ok": "working",
    "never_ran": "never ran",
    "not_launched": "not launched",
    "oom": "out of memory",
    "timeout": "timed out",
}
"""Where the word of the status needs another one for people."""

_TONES: Final[Mapping[str, str]] = {
    "ok": "good",
    "reading": "good",
    "succeeded": "good",
    "accepted": "good",
    "launched": "good",
    "failing": "bad",
    "failed": "bad",
    "oom": "bad",
    "timeout": "bad",
    "never_ran": "bad",
    "not_launched": "bad",
    "trying_again": "bad",
    "refused": "bad",
    "opening": "busy",
    "starting": "busy",
    "launching": "busy",
    "running": "busy",
    "stopping": "busy",
}

_BAR, _GAP, _HEIGHT = 4, 1, 24


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 route`, `1,204 routes`; `plural` where an s does not make one."""
    return f"{number(count)} {noun if count == 1 else plural or noun + 's'}"


def number(count: int) -> str:
    """With commas between thousands."""
    return f"{count:,}"


def state_word(state: str) -> str:
    """A state as people say it."""
    return STATE_WORDS.get(state, state.replace("_", " "))


def tone(state: str) -> str:
    """Whether a state is `good`, `bad`, `busy` or, as every other, `quiet`."""
    return _TONES.get(state, "quiet")


def duration(seconds: float) -> str:
    """`0 s`, `0.35 s`, `7.2 s`, `48 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`."""
    whole = round(seconds)
    if seconds < _TEN:
        return _under_ten(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _of_two(whole, _MINUTE, "min", 1, "s")
    if whole < _DAY:
        return _of_two(whole, _HOUR, "h", _MINUTE, "min")
    return _of_two(whole, _DAY, "d", _HOUR, "h")


def _under_ten(seconds: float) -> str:
    if seconds < _HARDLY:
        return "0 s"
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"


def _of_two(whole: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = whole % large // small
    first = f"{whole // large} {large_unit}"
    return f"{first} {rest} {small_unit}" if rest else first


def size(count: int) -> str:
    """Bytes: `812 B`, `4.2 kB`, `1.3 MB`."""
    if count < _KILO:
        return f"{count} B"
    if count < _KILO**2:
        return f"{count / _KILO:.1f} kB"
    return f"{count / _KILO**2:.1f} MB"


def moment(at: float) -> str:
    """`24 Nov 07:40:12`."""
    utc = datetime.fromtimestamp(at, UTC)
    month = _MONTHS[3 * utc.month - 3 : 3 * utc.month]  # strftime would ask the locale
    return f"{utc.day} {month} {utc:%H:%M:%S}"


def iso(at: float) -> str:
    """For the attribute `datetime` of an HTML element."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def bars(counts: Sequence[int]) -> str:
    """The path of a bar for each count, the highest 24 units high; 4 units wide, 1 apart."""
    top = max(counts, default=0)
    return "".join(_bar(place, count, top) for place, count in enumerate(counts) if count)


def _bar(place: int, count: int, top: int) -> str:
    # One message among thousands is still to be seen.
    high = max(2.0, round(_HEIGHT * count / top, 1))
    return f"M{place * (_BAR + _GAP)} {_HEIGHT}v-{high:g}h{_BAR}v{high:g}z"


def tally(counts: Mapping[str, int], words: Iterable[tuple[str, str]]) -> str:
    """`1,190 deleted, 12 retried`: those counts of these keys that are not 0, in these words."""
    return ", ".join(f"{number(counts[key])} {word}" for key, word in words if counts.get(key))
