"""Routes files in a bucket, over real boto3; the bucket is moto's."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import boto3
import pytest
from botocore.config import Config
from sqs_backends import Backend

from lambdo_router.service.remote_routes import bucket
from lambdo_router.service.remote_routes.address import read_address
from lambdo_router.service.remote_routes.bucket import Bucket
from lambdo_router.service.remote_routes.remote_store import RoutesUnavailable

pytest_plugins = ["sqs_backends"]

_numbers = count(1)


@pytest.fixture(autouse=True)
def aws(moto: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": moto.url,
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "planted-secret",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def s3(moto: Backend) -> Iterator[Any]:
    client = boto3.client(
        "s3",
        endpoint_url=moto.url,
        aws_access_key_id="a",
        aws_secret_access_key="b",
        region_name="us-east-1",
        config=Config(proxies={}),
    )
    yield client
    client.close()


@pytest.fixture
def name(s3: Any) -> str:
    """A new bucket."""
    found = f"routes-{next(_numbers)}"
    s3.create_bucket(Bucket=found)
    return found


@pytest.fixture
def there(name: str) -> Iterator[Bucket]:
    """The folder `deploy` of the bucket."""
    found = Bucket(read_address(f"s3://{name}/deploy/routes.yaml"))
    yield found
    found.close()


def test_an_object_is_read_once_and_then_only_asked_after(
    s3: Any, name: str, there: Bucket
) -> None:
    s3.put_object(Bucket=name, Key="deploy/routes.yaml", Body=b"version: 1\n")
    first = there.read("routes.yaml", None)
    again = there.read("routes.yaml", first)
    s3.put_object(Bucket=name, Key="deploy/routes.yaml", Body=b"version: 2\n")
    changed = there.read("routes.yaml", first)

    assert first is not None
    assert first.content == b"version: 1\n"
    assert again is first
    assert changed is not None
    assert changed.content == b"version: 2\n"


def test_an_object_that_is_not_there_is_none(there: Bucket) -> None:
    assert there.read("schemas/x.json", None) is None


def test_names_are_those_in_the_folder_and_below(
    s3: Any, name: str, there: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("a.yaml", "deploy/routes.yaml", "deploy/r.d/a.yaml", "deploy/r.d/b/c.yaml"):
        s3.put_object(Bucket=name, Key=key, Body=b"x")

    assert there.names("") == ["r.d/a.yaml", "r.d/b/c.yaml", "routes.yaml"]
    assert there.names("r.d/") == ["r.d/a.yaml", "r.d/b/c.yaml"]
    assert there.names("none/") == []

    monkeypatch.setattr(bucket, "_MOST_LISTED", 1)
    with pytest.raises(RoutesUnavailable, match="over 1 objects are there or below"):
        there.names("")


def test_a_long_list_is_read_page_by_page(
    s3: Any, name: str, there: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"deploy/r.d/{number}.yaml" for number in range(5)]
    for key in keys:
        s3.put_object(Bucket=name, Key=key, Body=b"x")
    list_all = there._client.list_objects_v2
    pages: list[object] = []

    def two_at_a_time(**arguments: Any) -> Any:
        pages.append(arguments)
        return list_all(**arguments, MaxKeys=2)

    monkeypatch.setattr(there._client, "list_objects_v2", two_at_a_time)

    assert there.names("r.d/") == [key.removeprefix("deploy/") for key in keys]
    assert len(pages) == 3


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("AccessDenied", 403, "AccessDenied: no; allow s3:GetObject on it; and s3:ListBucket"),
        ("NoSuchBucket", 404, "NoSuchBucket: no; check the name of the bucket"),
        ("ExpiredToken", 400, "ExpiredToken: no; check AWS_ACCESS_KEY_ID"),
        ("SlowDown", 503, "SlowDown: no"),
    ],
)
def test_a_refusal_says_what_helps(
    there: Bucket, monkeypatch: pytest.MonkeyPatch, code: str, status: int, said: str
) -> None:
    from botocore.exceptions import ClientError

    def refuse(**_: Any) -> None:
        metadata = {"HTTPStatusCode": status}
        error: Any = {"Error": {"Code": code, "Message": "no."}, "ResponseMetadata": metadata}
        raise ClientError(error, "GetObject")

    monkeypatch.setattr(there._client, "get_object", refuse)
    with pytest.raises(RoutesUnavailable) as refused:
        there.read("routes.yaml", None)

    assert str(refused.value).startswith(f"{there.address.shown}: {said}")


def test_a_list_without_an_end_is_given_up(there: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[str] = []

    def empty_page(*, ContinuationToken: str = "", **_: Any) -> dict[str, Any]:  # noqa: N803 # S3's
        pages.append(ContinuationToken)
        assert len(pages) < 1000
        return {"Contents": [], "IsTruncated": True, "NextContinuationToken": f"{len(pages)}"}

    monkeypatch.setattr(there._client, "list_objects_v2", empty_page)
    with pytest.raises(RoutesUnavailable) as refused:
        there.names("routes.d/")

    assert str(refused.value) == (
        f"{there.address.shown_of('routes.d/')}: the list of what is there does not come to an end"
    )
    assert len(pages) == 100


def test_a_bucket_that_is_not_there_is_told(name: str) -> None:
    found = Bucket(read_address(f"s3://{name}-not/routes.yaml"))
    try:
        with pytest.raises(RoutesUnavailable, match=r"NoSuchBucket: .*; check the name"):
            found.read("routes.yaml", None)
    finally:
        found.close()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "127.0.0.1:9"),
        ("AWS_ACCESS_KEY_ID", "", "credentials; check AWS_ACCESS_KEY_ID"),
        ("AWS_PROFILE", "none-such", "none-such"),
    ],
)
def test_where_aws_is_not_to_be_had_it_says_why(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    backoff = "botocore.retries.standard.ExponentialBackoff.delay_amount"
    monkeypatch.setattr(backoff, lambda *_: 0.0)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv(variable, value)
    if not value:
        monkeypatch.delenv(variable)
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(RoutesUnavailable) as refused:
        _read_from(read_address("s3://acme/routes.yaml"))

    assert said in str(refused.value)
    assert "planted" not in str(refused.value)


def _read_from(address: Any) -> None:
    found = Bucket(address)
    try:
        found.read("routes.yaml", None)
    finally:
        found.close()
