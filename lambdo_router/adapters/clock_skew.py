"""The clock difference to a server, from the Date header of an answer."""

from email.utils import parsedate_to_datetime


def ahead_of(date: str, started: float, ended: float) -> float:
    """
    Seconds, to one or so; 0 where the header says nothing. `started` and `ended` of the request are
    in unix seconds: the Date header has whole seconds, and was written between the two.
    """
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    if started - 1 <= theirs <= ended:
        return 0.0
    return started - theirs if theirs < started else ended - theirs
