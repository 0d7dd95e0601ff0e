"""Where SQS and STS are, which must be where botocore's own clients go."""

from itertools import product
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import NoRegionError
from botocore.session import Session

from lambdo_router.adapters.sqs import SqsSettings
from lambdo_router.adapters.sqs.identities import Identities, Way, _light

KEYS: Any = {"aws_access_key_id": "-", "aws_secret_access_key": "-"}


@pytest.fixture(autouse=True)
def own_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-key")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


def asked_by(
    session: Session, service: str, operation: str, region: str, endpoint: str | None = None
) -> tuple[str, str]:
    """Return the URL that a client of botocore would ask, and the region that it signs for."""
    client: Any = session.create_client(service, region, endpoint_url=endpoint, **KEYS)
    url = urlsplit(client.generate_presigned_url(operation))
    credential = parse_qs(url.query)["X-Amz-Credential"][0]
    return f"{url.scheme}://{url.netloc}{url.path}".rstrip("/"), credential.split("/")[2]


def environments() -> list[Any]:
    return [
        pytest.param(
            {"AWS_USE_FIPS_ENDPOINT": fips, "AWS_USE_DUALSTACK_ENDPOINT": dual, **more},
            id=f"fips-{fips}-dual-{dual}-{'-'.join(more.values()) or 'plain'}",
        )
        for fips, dual, more in product(
            ("false", "true"),
            ("false", "true"),
            (
                {},
                {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9324"},
                {"AWS_STS_REGIONAL_ENDPOINTS": "legacy"},
            ),
        )
    ]


REGIONS = ("us-east-1", "eu-west-3", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "mars-north-1")


@pytest.mark.parametrize("environment", environments())
def test_requests_go_where_botocore_would_send_them(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # A session takes long to make, and another client of it does not.
    identities, light, plain = Identities(SqsSettings()), _light(Session()), Session()

    for region in REGIONS:
        found = identities.access(Way(region, None, None))
        assert (found.server.url, found.region) == asked_by(plain, "sqs", "list_queues", region)
        sts = ("sts", "get_caller_identity", region)
        assert asked_by(light, *sts) == asked_by(plain, *sts)


@pytest.mark.parametrize("region", ["us-east-1", "fips-us-east-1", "mars-north-1"])
@pytest.mark.parametrize("endpoint", ["http://host:9/base/", "https://sqs.example", None])
def test_an_endpoint_of_a_queue_and_the_older_names_of_regions_mean_what_they_do_in_botocore(
    region: str, endpoint: str | None
) -> None:
    found = Identities(SqsSettings()).access(Way(region, None, endpoint))

    expected = asked_by(Session(), "sqs", "list_queues", region, endpoint)
    assert (found.server.url, found.region) == expected


@pytest.mark.parametrize("endpoint", [None, "http://host:9"])
def test_without_a_region_there_is_no_request_to_sign(
    monkeypatch: pytest.MonkeyPatch, endpoint: str | None
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)

    with pytest.raises(NoRegionError):
        Identities(SqsSettings()).access(Way(None, None, endpoint))
