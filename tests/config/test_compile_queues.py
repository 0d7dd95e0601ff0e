import pytest
from routes_files import compiled, queue_of, reported

from lambdo_router.config.compile.queues import read_address
from lambdo_router.core.routing import Queue


def test_what_is_not_written_has_its_default() -> None:
    assert queue_of("name: orders") == Queue(
        name="q",
        url=None,
        lookup="orders",
        envelope="none",
        visibility=60.0,
        max_waiting=1000,
        reject_to=None,
        on_unmatched="leave",
    )


def test_every_key_is_taken_over() -> None:
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/orders"
    keys = f"url: '{url}', envelope: sns, visibility: 2m, max_waiting: 50, reject_to: r"

    assert queue_of(f"{keys}, on_unmatched: drop") == Queue(
        name="q",
        url=url,
        envelope="sns",
        visibility=120.0,
        max_waiting=50,
        reject_to="r",
        on_unmatched="drop",
    )


@pytest.mark.parametrize(
    ("keys", "policy"),
    [
        pytest.param("name: a", "leave", id="nowhere-to-reject-to"),
        pytest.param("name: a, reject_to: r", "reject", id="somewhere-to-reject-to"),
        pytest.param("name: a, reject_to: r, on_unmatched: leave", "leave", id="written"),
        pytest.param("name: a, reject_to: r, on_unmatched: reject", "reject", id="written-as-is"),
    ],
)
def test_unmatched_messages_are_rejected_where_that_is_possible(keys: str, policy: str) -> None:
    assert queue_of(keys).on_unmatched == policy


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/a", ("eu-west-1", "123456789012", "a")),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/a", ("cn-north-1", "1", "a")),
        ("https://sqs-fips.us-gov-west-1.amazonaws.com/1/a", ("us-gov-west-1", "1", "a")),
        ("https://sqs.us-east-1.api.aws/1/a", ("us-east-1", "1", "a")),
        ("arn:aws:sqs:eu-west-1:123456789012:a", ("eu-west-1", "123456789012", "a")),
        ("arn:aws-us-gov:sqs:us-gov-west-1:1:a", ("us-gov-west-1", "1", "a")),
        ("http://localhost:9324/000000000000/a", ("localhost:9324", "000000000000", "a")),
        ("http://127.0.0.1:4566/queue/a/", ("127.0.0.1:4566", "queue", "a")),
        ("http://[::1]:4566/a", ("[::1]:4566", "", "a")),
        ("https://queue.amazonaws.com/1/a.fifo", ("queue.amazonaws.com", "1", "a.fifo")),
    ],
)
def test_an_address_tells_a_queue_from_others(url: str, identity: tuple[str, str, str]) -> None:
    assert read_address(url) == identity


@pytest.mark.parametrize(
    "url",
    [
        *("", "orders", "https://", "https:///orders", "https://sqs.us-east-1.amazonaws.com/"),
        *("ftp://host/1/a", "https://host/1/a b", "https://host/1/a?b=c", "https://host/1/a#b"),
        *("https://user:secret@host/1/a", "https://[/1/a", f"https://host/1/{'a' * 81}"),
        *("arn:aws:sns:eu-west-1:1:a", "arn:aws:sqs:eu-west-1::a", "arn:aws:sqs:eu-west-1:1:a/b"),
    ],
)
def test_what_is_no_address_is_refused_with_examples(url: str) -> None:
    with pytest.raises(ValueError, match=r"^write a queue URL such as https://sqs\."):
        read_address(url)


def test_queues_whose_address_is_not_known_yet_are_not_taken_for_the_same() -> None:
    result = compiled(
        """
        version: 1
        queues: {a: {url: "${A}"}, b: {url: "${A}"}}
        defaults: {app: acme, image: nginx:1, acknowledge: launch}
        routes: [{name: r, queue: [a, b], profile: {}}]
        """,
        missing="warning",
    )

    assert reported(result) == []
    assert [queue.url for queue in result.queues.values()] == ["${A}", "${A}"]


def test_queues_at_one_address_are_the_same_though_variables_name_it() -> None:
    text = """
        version: 1
        queues: {a: {url: "${A}"}, b: {url: "${B}"}}
        defaults: {app: acme, image: nginx:1, acknowledge: launch}
        routes: [{name: r, queue: [a, b], profile: {}}]
        """
    same = {"A": "https://sqs.us-east-1.amazonaws.com/1/a", "B": "arn:aws:sqs:us-east-1:1:a"}

    assert reported(compiled(text, same)) == ["3:37 same-queue"]
