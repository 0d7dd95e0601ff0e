import pytest

from lambdo_router.config.compile.original import original_table
from lambdo_router.core.errors import SettingsError
from lambdo_router.core.message import Attribute, Message
from lambdo_router.core.profile import SIZES, Guest
from lambdo_router.core.routing import Decision, Queue, Refused, Routed, RoutingTable, decide

URL = "https://sqs.us-east-1.amazonaws.com/123456789012/lambdo"


def table(*, batch_size: int = 5) -> RoutingTable:
    return original_table(URL, app="acme", region="iad", batch_size=batch_size)


def decided(body: str = '{"a": 1}', **attributes: str) -> Decision:
    made = table()
    typed = {name: Attribute("String", value) for name, value in attributes.items()}
    return decide(made, made.queues["lambdo"], Message("1", "", body, typed, {}))


def test_the_queue_is_read_with_nowhere_to_reject_to() -> None:
    assert table().queues == {"lambdo": Queue("lambdo", url=URL, on_unmatched="leave")}
    assert [queue.name for queue in table().sources()] == ["lambdo"]


def test_an_image_alone_runs_on_performance_2x() -> None:
    decision = decided(image="docker.io/acme/x:1")

    assert isinstance(decision, Routed)
    assert decision.profile.image == "docker.io/acme/x:1"
    assert decision.profile.guest == Guest("performance", 2, 4096)
    assert decision.profile.command is None
    assert (decision.profile.app, decision.profile.region) == ("acme", "iad")
    assert (decision.profile.acknowledge, decision.profile.batch_size) == ("launch", 5)


@pytest.mark.parametrize("size", SIZES)
def test_every_size_may_be_named(size: str) -> None:
    decision = decided(image="nginx", size=size, command='["node", "a.js"]')

    assert isinstance(decision, Routed)
    assert decision.profile.guest == SIZES[size].guest
    assert decision.profile.command == ("node", "a.js")


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param({}, id="no-image"),
        pytest.param({"image": ""}, id="empty-image"),
        pytest.param({"image": "nginx", "size": "huge"}, id="unknown-size"),
        pytest.param({"image": "nginx", "command": "node a.js"}, id="command-is-no-json"),
    ],
)
def test_what_cannot_be_taken_is_left_on_the_queue(attributes: dict[str, str]) -> None:
    decision = decided(**attributes)

    assert isinstance(decision, Refused)
    assert (decision.reason, decision.policy) == ("override_denied", "leave")


def test_the_generation_changes_with_what_the_table_is_made_from() -> None:
    assert table().generation == table().generation
    assert table().generation != table(batch_size=6).generation
    assert len(table().generation) == 12


@pytest.mark.parametrize(
    ("url", "app", "said"),
    [
        pytest.param(
            "orders", "acme", "LAMBDO_SQS_QUEUE_URL is not the address of a queue", id="url"
        ),
        pytest.param(f"{URL}.fifo", "acme", "LAMBDO_SQS_QUEUE_URL names a FIFO queue", id="fifo"),
        pytest.param(URL, "", "no Fly app is named; set LAMBDO_FLY_APP", id="app"),
    ],
)
def test_settings_that_do_not_do_are_named(url: str, app: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"^{said}"):
        original_table(url, app=app, region=None, batch_size=5)
