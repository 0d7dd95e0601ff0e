"""How the page words numbers, times and states. Times are unix seconds, shown in UTC."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from lambdo_router.telemetry.status import BatchStatus

_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"
_UNITS: Final = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
_KILO: Final = 1000
_BAR, _GAP, _HEIGHT = 4, 1, 24

_STATE_WORDS: Final[Mapping[str, str]] = {
    "ok": "working",
    "oom": "out of memory",
    "timeout": "timed out",
}
_TONES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("ok", "reading", "succeeded", "accepted", "launched"), "good"),
    **dict.fromkeys(("failing", "failed", "oom", "timeout", "refused"), "bad"),
    **dict.fromkeys(("never_ran", "not_launched", "retrying"), "bad"),
    **dict.fromkeys(("opening", "starting", "launching", "running", "stopping"), "busy"),
}


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return `1 route`, `1,204 routes`; `plural` where an s is not enough."""
    return f"{number(count)} {noun if count == 1 else plural or noun + 's'}"


def number(count: int) -> str:
    """Return a number with commas between thousands."""
    return f"{count:,}"


def batch_state(batch: BatchStatus) -> str:
    """Return the state of a batch; `retrying` if its launch has failed before."""
    return "retrying" if batch.state == "launching" and batch.failure else batch.state


def state_word(state: str) -> str:
    """Return a state as people say it."""
    return _STATE_WORDS.get(state, state.replace("_", " "))


def tone(state: str) -> str:
    """Return whether a state is `good`, `bad`, `busy` or, like all others, `quiet`."""
    return _TONES.get(state, "quiet")


def duration(seconds: float) -> str:
    """Return `0 s`, `0.35 s`, `7.2 s`, `48 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 0.005:  # noqa: PLR2004 - it would be 0.00
        return "0 s"
    if seconds < 10:  # noqa: PLR2004 - two digits are enough
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = round(seconds)
    for large, large_unit, small, small_unit in _UNITS:
        if whole >= large:
            rest = whole % large // small
            return f"{whole // large} {large_unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole} s"


def size(count: int) -> str:
    """Return bytes as `812 B`, `4.2 kB`, `1.3 MB`."""
    if count < _KILO:
        return f"{count} B"
    if count < _KILO**2:
        return f"{count / _KILO:.1f} kB"
    return f"{count / _KILO**2:.1f} MB"


def moment(at: float) -> str:
    """Return `24 Nov 07:40:12`."""
    utc = datetime.fromtimestamp(at, UTC)
    month = _MONTHS[3 * utc.month - 3 : 3 * utc.month]  # strftime would ask the locale
    return f"{utc.day} {month} {utc:%H:%M:%S}"


def iso(at: float) -> str:
    """Return the attribute `datetime` of an HTML element."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def bars(counts: Sequence[int]) -> str:
    """Return the path of a bar chart, the highest bar 24 units high, each 4 wide and 1 apart."""
    top = max(counts, default=0)
    return "".join(_bar(place, count, top) for place, count in enumerate(counts) if count)


def _bar(place: int, count: int, top: int) -> str:
    high = max(2.0, round(_HEIGHT * count / top, 1))  # so that one among thousands is visible
    return f"M{place * (_BAR + _GAP)} {_HEIGHT}v-{high:g}h{_BAR}v{high:g}z"


def tally(counts: Mapping[str, int], words: Iterable[tuple[str, str]]) -> str:
    """Return `1,190 deleted, 12 retried`: the counts that are not 0, in these words."""
    return ", ".join(f"{number(counts[key])} {word}" for key, word in words if counts.get(key))
