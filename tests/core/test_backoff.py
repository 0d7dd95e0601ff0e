import pytest

from lambdo_router.core.backoff import backoff


@pytest.mark.parametrize(
    ("failures", "jitter", "expected"),
    [
        (1, 1.0, 1.0),
        (2, 1.0, 2.0),
        (3, 1.0, 4.0),
        (3, 0.0, 2.0),
        (6, 1.0, 30.0),
        (10_000, 1.0, 30.0),
    ],
)
def test_pauses_double_up_to_the_longest(failures: int, jitter: float, expected: float) -> None:
    assert backoff(failures, first=1.0, longest=30.0, jitter=jitter) == expected
