import pytest

from lambdo_router.telemetry.status.counts import SLOTS, RollingCounts


@pytest.mark.parametrize(
    ("times", "now", "total", "minute", "chart"),
    [
        pytest.param([], 1000, 0, 0, {}, id="nothing"),
        pytest.param([1000, 1009.9], 1009.9, 2, 2, {29: 2}, id="one-slot"),
        pytest.param([1000, 1050], 1050, 2, 2, {24: 1, 29: 1}, id="a-minute"),
        pytest.param([1000, 1060], 1060, 2, 1, {23: 1, 29: 1}, id="more-than-a-minute"),
        pytest.param([1000, 1290], 1290, 2, 1, {0: 1, 29: 1}, id="five-minutes"),
        pytest.param([1000, 1300], 1300, 2, 1, {29: 1}, id="once-round"),
        pytest.param([1000, 9000], 9000, 2, 1, {29: 1}, id="after-hours"),
        pytest.param([1000], 9000, 1, 0, {}, id="long-ago"),
        pytest.param([1000, 980], 1000, 2, 2, {27: 1, 29: 1}, id="clock-set-back-a-little"),
        pytest.param([9000, 1000], 9000, 2, 1, {29: 1}, id="clock-set-back-a-lot"),
    ],
)
def test_counts_are_kept_in_all_for_a_minute_and_over_time(
    times: list[float], now: float, total: int, minute: int, chart: dict[int, int]
) -> None:
    counts = RollingCounts(("charted", "other"))
    for at in times:
        counts.add("charted", at)
        counts.add("other", at, 2)

    assert counts.fields(now) == {
        "totals": {"charted": total, "other": 2 * total},
        "last_minute": {"charted": minute, "other": 2 * minute},
        "activity": tuple(chart.get(slot, 0) for slot in range(SLOTS)),
    }


def test_a_name_that_was_not_given_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        RollingCounts(("charted",)).add("other", 0.0)
