"""How long to wait before another try. Pure: the jitter (0.0 to 1.0) is an argument."""


def backoff(failures: int, *, first: float, longest: float, jitter: float) -> float:
    """
    Seconds to wait after so many failures in a row (1 or more).

    `first`, doubled with each further failure up to `longest`; the jitter takes between half and
    all of that, so that many who failed together do not come back together.
    """
    # 2**64 s is beyond any `longest`; without the bound the power grows without end.
    full = min(longest, first * 2.0 ** min(failures - 1, 64))
    return full * (0.5 + jitter / 2)
