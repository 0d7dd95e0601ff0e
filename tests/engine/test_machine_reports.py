"""Reports of running Machines: what each kind of them gets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from scenario import now

from lambdo_router.admin import admin_app
from lambdo_router.core.errors import LaunchUnavailable
from lambdo_router.core.machine import ReportAddress
from lambdo_router.core.machine_metadata import message_digest
from lambdo_router.engine.failure_reports import FailureReports, ReportError

IDS = ["m1", "m2", "m3"]


@dataclass
class Recorder:
    """The part of the Machines API that a report needs."""

    written: list[tuple[str, str, str]] = field(default_factory=list)
    failing: bool = False

    async def set_metadata(self, app: str, machine_id: str, key: str, value: str) -> None:
        if self.failing:
            raise LaunchUnavailable("503", code="unavailable")
        self.written.append((machine_id, key, value))


def opened(launched: bool = True) -> tuple[FailureReports, Recorder, ReportAddress]:  # noqa: FBT001, FBT002
    recorder = Recorder()
    reports = FailureReports(recorder, "http://router", clock=now)  # type: ignore[arg-type]
    address = reports.open("b1", "jobs", IDS, deadline=900.0)
    assert address is not None
    if launched:
        reports.launched("b1", "machine")
    return reports, recorder, address


async def test_a_report_is_written_to_fly_before_it_is_taken() -> None:
    reports, recorder, address = opened()

    assert await reports.take("b1", address.token, ["m2", "m1"]) == 2
    digests = "".join(sorted(map(message_digest, ["m1", "m2"])))
    assert recorder.written == [("machine", "lambdo_failed", digests)]
    assert reports.close("b1") == {"m1", "m2"}


async def test_the_same_report_again_is_taken_and_written_once() -> None:
    reports, recorder, address = opened()
    for _ in range(2):
        assert await reports.take("b1", address.token, ["m1"]) == 1
    assert len(recorder.written) == 1


async def test_an_empty_report_needs_no_record() -> None:
    reports, recorder, address = opened()
    assert await reports.take("b1", address.token, []) == 0
    assert recorder.written == []
    assert reports.close("b1") == frozenset()


async def test_a_report_that_fly_does_not_record_is_not_taken_and_may_be_repeated() -> None:
    reports, recorder, address = opened()
    recorder.failing = True
    with pytest.raises(ReportError) as refused:
        await reports.take("b1", address.token, ["m1"])
    assert refused.value.status == 503

    recorder.failing = False
    assert await reports.take("b1", address.token, ["m1"]) == 1


async def test_a_report_that_comes_before_flys_answer_waits_for_it() -> None:
    reports, recorder, address = opened(launched=False)
    taking = asyncio.create_task(reports.take("b1", address.token, ["m1"]))
    await asyncio.sleep(5)
    reports.launched("b1", "machine")

    assert await taking == 1
    assert recorder.written[0][0] == "machine"


async def test_a_report_on_a_machine_that_fly_never_confirms_is_not_taken() -> None:
    reports, _, address = opened(launched=False)
    with pytest.raises(ReportError) as refused:
        await reports.take("b1", address.token, ["m1"])
    assert refused.value.status == 503


@pytest.mark.parametrize(
    ("batch", "token", "failed", "status"),
    [
        pytest.param("b1", "guessed", ["m1"], 401, id="forged"),
        pytest.param("b1", "", ["m1"], 401, id="empty-token"),
        pytest.param("b2", None, ["m1"], 404, id="unknown-batch"),
        pytest.param("b1", None, ["m1", "x"], 422, id="message-of-another-batch"),
    ],
)
async def test_what_is_not_taken(
    batch: str, token: str | None, failed: list[str], status: int
) -> None:
    reports, recorder, address = opened()
    with pytest.raises(ReportError) as refused:
        await reports.take(batch, address.token if token is None else token, failed)
    assert refused.value.status == status
    assert recorder.written == []


async def test_the_token_of_one_batch_opens_no_other() -> None:
    reports, _, address = opened()
    other = reports.open("b2", "jobs", ["m9"], deadline=900.0)
    assert other is not None
    assert other.token != address.token
    with pytest.raises(ReportError) as refused:
        await reports.take("b2", address.token, ["m9"])
    assert refused.value.status == 401


async def test_a_late_report_finds_nobody() -> None:
    reports, _, address = opened()
    reports.close("b1")
    with pytest.raises(ReportError) as refused:
        await reports.take("b1", address.token, ["m1"])
    assert refused.value.status == 404


async def test_a_second_report_that_differs_is_refused() -> None:
    reports, _, address = opened()
    await reports.take("b1", address.token, ["m1"])
    with pytest.raises(ReportError) as refused:
        await reports.take("b1", address.token, ["m1", "m2"])
    assert refused.value.status == 409
    assert reports.close("b1") == {"m1"}


async def test_without_an_address_no_batch_may_report() -> None:
    reports = FailureReports(Recorder())  # type: ignore[arg-type]
    assert reports.open("b1", "jobs", IDS, deadline=900.0) is None
    assert reports.close("b1") == frozenset()


def test_a_token_does_not_show_itself() -> None:
    assert "secret" not in repr(ReportAddress("http://router", "secret"))


# Over HTTP


@asynccontextmanager
async def client(reports: FailureReports) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=admin_app(reports))
    async with httpx.AsyncClient(transport=transport, base_url="http://router") as made:
        yield made


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        pytest.param('{"batchItemFailures": [{"itemIdentifier": "m1"}]}', 200, "1", id="good"),
        pytest.param('{"batchItemFailures": []}', 200, "0", id="nothing-failed"),
        pytest.param("nonsense", 400, "not JSON", id="no-json"),
        pytest.param("[]", 400, "batchItemFailures", id="a-list"),
        pytest.param('{"batchItemFailures": {}}', 400, "batchItemFailures", id="wrong-type"),
        pytest.param('{"batchItemFailures": ["m1"]}', 400, "itemIdentifier", id="bare-ids"),
        pytest.param(
            '{"batchItemFailures": [{"itemIdentifier": ""}]}', 400, "itemIdentifier", id="empty-id"
        ),
        pytest.param("[" * 100_000, 400, "not JSON", id="depth-bomb"),
        pytest.param(
            '{"batchItemFailures": [], "x": "\\ud800"}', 400, "not JSON", id="half-a-character"
        ),
        pytest.param(" " * 300_000, 413, "bytes", id="too-large"),
    ],
)
async def test_a_report_over_http(body: str, status: int, said: str) -> None:
    reports, _, address = opened()
    async with client(reports) as http:
        headers = {"Authorization": f"Bearer {address.token}"}
        answer = await http.post("/reports/b1", content=body, headers=headers)

    assert answer.status_code == status
    assert said in json.dumps(answer.json())
    assert address.token not in answer.text


@pytest.mark.real_time
async def test_without_a_token_nothing_is_looked_at() -> None:
    reports, _, _ = opened()
    async with client(reports) as http:
        answer = await http.post("/reports/b1", content="{}")
    assert answer.status_code == 401
    assert "LAMBDO_REPORT_TOKEN" in answer.json()["error"]


async def test_a_batch_that_nobody_closes_is_forgotten_some_time_after_its_deadline() -> None:
    """The router stopped reading its queue while its Machine ran: until its end it may report."""
    reports, _, address = opened()
    await asyncio.sleep(930)
    reports.open("b2", "jobs", ["m2"], deadline=1900.0)
    assert await reports.take("b1", address.token, ["m1"]) == 1

    await asyncio.sleep(70)
    reports.open("b3", "jobs", ["m3"], deadline=1900.0)
    with pytest.raises(ReportError) as refused:
        await reports.take("b1", address.token, ["m1"])

    assert refused.value.status == 404
