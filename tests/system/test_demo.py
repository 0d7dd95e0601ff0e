"""The demo: what became of each message, whether that was expected, and the whole of it."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from building import entry, key, message, route
from click.testing import CliRunner, Result

import lambdo_router
from lambdo_router.cli import cli
from lambdo_router.cli import demo as demo_command
from lambdo_router.config.messages import Expectation, Sample
from lambdo_router.core import journal
from lambdo_router.core.batch import Batch
from lambdo_router.core.errors import LaunchUnavailable
from lambdo_router.core.machine import Machine
from lambdo_router.core.message import Event
from lambdo_router.core.routing import Refused, Routed
from lambdo_router.core.settlement import Acknowledge, Leave, Reject, Rejection, Retry
from lambdo_router.local.demo import NoExample, Outcome, Outcomes, differences, example_folder
from lambdo_router.local.runtimes import RUNTIMES, is_here

_ROUTE = route("orders")
_MACHINE = Machine("3d8d7000c52d78", "lambdo-orders-x", "iad")
_BATCH = Batch(key(), (entry("m1"), entry("m2")))
_RECEIVED = journal.Received("q", message("m1"))
_ROUTED = journal.Decided("q", "m1", Routed(_ROUTE, _ROUTE.profile, Event("{}", {}, {})))
_INVALID = journal.Decided("q", "m1", Refused("schema_invalid", "no total", "reject", _ROUTE))
_LAUNCHED = journal.Launched(_BATCH, _MACHINE, 0.1, 1, 50.0, "b1")
_TIRED = journal.LaunchFailed(_BATCH, LaunchUnavailable("no room", code="capacity"), 1, 2.0)
_REJECTION = Rejection("max_attempts", "no room", "orders", "q", "m1", 5, 0.0)


def settled(settlement: Acknowledge | Leave | Reject | Retry) -> journal.Settled:
    return journal.Settled("q", "m1", "orders", settlement)


_DELETED = settled(Acknowledge("launched"))


def outcome_of(facts: Iterable[journal.Fact]) -> Outcome:
    outcomes = Outcomes()
    for fact in facts:
        outcomes.observe(fact)
    return outcomes["m1"]


@pytest.mark.parametrize(
    ("facts", "missing"),
    [
        pytest.param([], "the router has not received it", id="nothing"),
        pytest.param([_RECEIVED], "it is not settled", id="received"),
        pytest.param([_RECEIVED, _ROUTED, _TIRED], "it is not settled (no room)", id="no-launch"),
        pytest.param(
            [_RECEIVED, _ROUTED, _TIRED, settled(Retry(5.0, "no room"))],
            "it is not settled (will be retried: no room)",
            id="retried",
        ),
        pytest.param(
            [_RECEIVED, _ROUTED, _LAUNCHED],
            "it is not settled, but has the Machine 3d8d7000c52d78",
            id="launched",
        ),
        pytest.param(
            [_RECEIVED, _ROUTED, _LAUNCHED, journal.SettlementFailed("q", ("m1",), "delete", "x")],
            "it is not settled (x), but has the Machine 3d8d7000c52d78",
            id="not-deleted",
        ),
        pytest.param(
            [_RECEIVED, journal.InternalError("q", ("m1",), ValueError("oops"))],
            "it is not settled (ValueError: oops)",
            id="defect",
        ),
        pytest.param(
            [_RECEIVED, _ROUTED, _LAUNCHED, _DELETED],
            "its Machine 3d8d7000c52d78 has not ended",
            id="running",
        ),
    ],
)
def test_what_is_missing_of_an_outcome_has_a_name(facts: list[journal.Fact], missing: str) -> None:
    outcome = outcome_of(facts)

    assert (outcome.missing(), outcome.is_final) == (missing, False)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(
            [_INVALID, settled(Acknowledge("dropped"))],
            Outcome(
                route="orders", reason="schema_invalid", detail="no total", settlement="dropped"
            ),
            id="dropped",
        ),
        pytest.param(
            [_INVALID, settled(Leave("schema_invalid", "no room for it"))],
            Outcome(
                route="orders", reason="schema_invalid", detail="no room for it", settlement="left"
            ),
            id="left",
        ),
        pytest.param(
            [_ROUTED, _TIRED, settled(Reject("rejected", _REJECTION))],
            Outcome(route="orders", reason="max_attempts", detail="no room", settlement="rejected"),
            id="given-up",
        ),
    ],
)
def test_a_message_without_a_machine_is_final_when_it_is_settled(
    facts: list[journal.Fact], expected: Outcome
) -> None:
    outcome = outcome_of([_RECEIVED, *facts])

    assert outcome == replace(expected, received=True)
    assert (outcome.missing(), outcome.is_final) == ("", True)


@pytest.mark.parametrize("early", [True, False], ids=["before-launched", "after-settled"])
def test_a_message_with_a_machine_is_final_when_that_has_ended(early: bool) -> None:  # noqa: FBT001 - a case
    outcomes = Outcomes()
    if early:
        outcomes.machine_ended(_MACHINE.id, 3)
    for fact in (_RECEIVED, _ROUTED, _LAUNCHED, _DELETED):
        assert not outcomes.are_final(["m1"])
        outcomes.observe(fact)
    if not early:
        assert not outcomes.are_final(["m1"])
        outcomes.machine_ended(_MACHINE.id, 3)

    assert outcomes.are_final(["m1"])
    assert not outcomes.are_final(["m1", "m3"])
    assert outcomes["m1"] == Outcome(
        received=True,
        route="orders",
        machine=_MACHINE.id,
        events=2,
        exit_code=3,
        settlement="deleted",
    )


_GOOD = Outcome(
    received=True, route="orders", machine="m", events=2, exit_code=0, settlement="deleted"
)
_BAD = Outcome(
    received=True, route="orders", reason="too_large", detail="2 MB", settlement="rejected"
)


@pytest.mark.parametrize(
    ("expected", "outcome", "said"),
    [
        pytest.param(Expectation("deleted"), _GOOD, [], id="settlement-only"),
        pytest.param(
            Expectation("deleted", route="orders", exit_code=0, events=2), _GOOD, [], id="all"
        ),
        pytest.param(Expectation("rejected", reason="too_large"), _BAD, [], id="refused"),
        pytest.param(
            Expectation("deleted", route="images", exit_code=1, events=3),
            _GOOD,
            [
                "route is orders, expected images",
                "exit code is 0, expected 1",
                "events is 2, expected 3",
            ],
            id="other-route",
        ),
        pytest.param(
            Expectation("deleted", route="orders", exit_code=0),
            _BAD,
            [
                "exit code is none, expected 0",
                "settlement is rejected, expected deleted",
                "it was refused as too_large: 2 MB",
            ],
            id="refused-unexpectedly",
        ),
        pytest.param(
            Expectation("rejected", reason="too_large"),
            _GOOD,
            ["reason is none, expected too_large", "settlement is deleted, expected rejected"],
            id="taken-unexpectedly",
        ),
    ],
)
def test_differences_are_said_in_words(
    expected: Expectation, outcome: Outcome, said: list[str]
) -> None:
    assert list(differences(expected, outcome)) == said


def test_the_example_is_found_in_the_checkout() -> None:
    assert example_folder() == Path(__file__).parents[2]


@pytest.mark.parametrize("packaged", [True, False])
def test_the_example_is_found_in_an_installed_package(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    packaged: bool,  # noqa: FBT001 - a case
) -> None:
    package = tmp_path / "site-packages" / "lambdo_router"
    (package / "example").mkdir(parents=True)
    monkeypatch.setattr(lambdo_router, "__file__", str(package / "__init__.py"))
    if packaged:
        (package / "example" / "routes.example.yaml").touch()
        assert example_folder() == package / "example"
    else:
        with pytest.raises(NoExample, match="this installation is not complete"):
            example_folder()


# The whole of it


def run_demo(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["demo", *arguments])


_ROWS = [
    ["customer-created", "welcome", "1", "0", "deleted", "ok"],
    ["job-default-size", "lambdo", "1", "0", "deleted", "ok"],
    ["job-denied-image", "override_denied", "rejected", "ok"],
    ["job-own-size", "lambdo", "1", "0", "deleted", "ok"],
    ["order-invalid", "schema_invalid", "rejected", "ok"],
    ["order-paid-1", "orders", "3", "0", "deleted", "ok"],
    ["order-paid-2", "orders", "3", "0", "deleted", "ok"],
    ["order-paid-3", "orders", "3", "0", "deleted", "ok"],
    ["push-branch", "unmatched", "rejected", "ok"],
    ["push-broken", "site-build", "1", "1", "deleted", "ok"],
    ["push-main", "site-build", "1", "0", "deleted", "ok"],
    ["review-good", "reviews", "2", "0", "deleted", "ok"],
    ["review-unclear", "max_attempts", "2", "0", "rejected", "ok"],
    ["stock-low", "stock", "1", "0", "deleted", "ok"],
    ["upload-folder", "schema_invalid", "dropped", "ok"],
    ["upload-not-json", "not_json", "rejected", "ok"],
    ["upload-photo", "image-uploads", "2", "0", "deleted", "ok"],
    ["upload-s3-test", "unmatched", "rejected", "ok"],
    ["upload-scan", "image-uploads", "2", "0", "deleted", "ok"],
]
_CALLED_BY = {"node": "customer-created", "php": "stock-low"}
_SAID = {
    "customer-created": "mail to ada@acme.example: welcome, Ada!",
    "stock-low": "order of 50 MUG-BLUE: 4 are left",
    "review-good": "review 9001 is good",
}


def test_the_demo_ends_as_its_files_say_and_shows_it() -> None:
    shown = run_demo("--verbose")

    assert shown.exit_code == 0, shown.output
    # What is for an interpreter that this machine does not have is left out.
    left_out = {_CALLED_BY[it.name] for it in RUNTIMES if not is_here(it)}
    expected = [row for row in _ROWS if row[0] not in left_out]
    live, _, below = shown.stdout.partition("\nmessage ")
    head, _, *rows = [line.split() for line in below.splitlines()[: 2 + len(expected)]]
    assert head == ["route", "or", "reason", "Machine", "events", "code", "settlement"]
    assert [[row[0], row[1], *row[-4 if len(row) > 4 else -2 :]] for row in rows] == expected
    machines = {row[0]: row[2] for row in rows if len(row) > 4}
    assert machines["order-paid-1"] == machines["order-paid-3"]
    assert len(set(machines.values())) == 9 - len(left_out)
    counts = f"{len(expected)} messages, {9 - len(left_out)} Machines"
    assert f"{counts}: all ended as expected." in shown.stdout
    for name, said in _SAID.items():
        assert (f"| {said}" in live) is (name not in left_out)
    assert "| build of acme/site at 59b20b8" in live
    assert "! failed: c1f9e0d has no package.json" in live
    assert shown.stderr == ""


def test_functions_in_a_language_that_is_not_here_are_skipped_with_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def played(
        _folder: Path, _table: object, samples: tuple[Sample, ...], *_: object
    ) -> tuple[demo_command.DemoResult, ...]:
        return tuple(demo_command.DemoResult(sample, _GOOD, ()) for sample in samples)

    monkeypatch.setattr(demo_command, "play", played)
    monkeypatch.setattr(demo_command, "is_here", lambda runtime: runtime.name == "python")
    shown = run_demo()

    assert shown.exit_code == 0, shown.output
    missing = "is skipped: this machine has no `{}` to call its function.\n"
    assert f"customer-created {missing.format('node')}" in shown.stdout
    assert f"stock-low {missing.format('php')}" in shown.stdout
    assert "\n17 messages" in shown.stdout


def test_an_unexpected_outcome_is_named_and_makes_the_demo_exit_with_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sample = Sample("m.json", "q", "{}", {}, Expectation("deleted", exit_code=1))
    endings = tuple(
        demo_command._result(replace(sample, name=name), replace(_GOOD, exit_code=code), 30.0)
        for name, code in (("good.json", 1), ("bad.json", 0))
    )

    async def played(*_: object) -> tuple[demo_command.DemoResult, ...]:
        return endings

    monkeypatch.setattr(demo_command, "play", played)
    shown = run_demo()

    assert shown.exit_code == 1, shown.output
    assert "2 messages, 1 Machine: 1 ended differently than expected.\n" in shown.stdout
    assert "\nbad.json: exit code is 0, expected 1\n" in shown.stdout
    assert [line.split()[-1] for line in shown.stdout.splitlines()[3:5]] == ["ok", "unexpected"]


async def test_a_demo_that_does_not_end_says_what_is_missing() -> None:
    outcomes, sample = Outcomes(), Sample("m.json", "q", "{}", {}, Expectation("deleted"))
    for fact in (_RECEIVED, _ROUTED, _LAUNCHED, _DELETED):
        outcomes.observe(fact)

    await demo_command._until_final(outcomes, {"m1": sample}, asyncio.Event(), 30.0)

    assert asyncio.get_running_loop().time() == 30.0
    assert demo_command._result(sample, outcomes["m1"], 30.0).differences == (
        "its Machine 3d8d7000c52d78 has not ended, after 30 s",
    )


def test_a_message_that_expects_nothing_is_no_success() -> None:
    ending = demo_command._result(Sample("m.json", "q", "{}", {}), _GOOD, 30.0)

    assert ending.differences == ("its file has no `expect` to compare with",)
