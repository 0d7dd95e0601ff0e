from lambdo_router.local.machines_server import Call, Calls, RateLimits

T0 = 1_790_000_000.0


def noted(*calls: tuple[float, str, str], kept: int = 100) -> Calls:
    calls_ = Calls(kept)
    for at, action, machine_id in calls:
        calls_.note(Call("jobs", action, machine_id, T0 + at))
    return calls_


def test_calls_are_counted_and_known_by_their_times() -> None:
    calls = noted((0.0, "list", ""), (0.5, "events", "m1"), (2.0, "list", ""))

    assert len(calls) == 3
    assert calls.totals() == {("jobs", "list"): 2, ("jobs", "events"): 1}
    assert calls.times("jobs", "list") == [T0, T0 + 2.0]
    assert calls.times("others", "list") == []


def test_the_fullest_second_begins_anywhere() -> None:
    calls = noted(*((at, "events", "m") for at in (0.0, 0.9, 1.0, 1.8, 1.85, 5.0)))

    assert calls.most_in_a_second("jobs", "events") == 4
    assert calls.most_in_a_second("jobs", "list") == 0


def test_too_many_are_those_that_fly_would_refuse() -> None:
    lists = [(at, "list", "") for at in (0.0, 0.0, 0.0, 0.5, 1.0)]
    single = [(0.0, "events", f"m{number}") for number in range(20)]
    calls = noted(*lists, *single)

    assert calls.too_many() == [Call("jobs", "list", "", T0 + 0.5)]
    assert calls.too_many(RateLimits(burst=5)) == []


def test_the_oldest_are_forgotten_but_counted() -> None:
    calls = noted(*((float(at), "list", "") for at in range(5)), kept=2)

    assert calls.times("jobs", "list") == [T0 + 3.0, T0 + 4.0]
    assert len(calls) == 5
