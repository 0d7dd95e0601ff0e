"""Signatures: those that AWS publishes, and botocore's for any request."""

from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.adapters.sqs.signing import signature_headers

EXAMPLE = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSP"
    "fIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7"
    "WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8"
    "FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)


@pytest.mark.parametrize(
    ("headers", "body", "token", "names", "signature"),
    [
        pytest.param(
            {},
            b"",
            None,
            "host;x-amz-date",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            id="post-vanilla",
        ),
        pytest.param(
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"Param1=value1",
            None,
            "content-type;host;x-amz-date",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            id="post-x-www-form-urlencoded",
        ),
        pytest.param(
            {},
            b"",
            TOKEN,
            "host;x-amz-date;x-amz-security-token",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            id="post-sts-header-before",
        ),
    ],
)
def test_what_aws_publishes(
    headers: dict[str, str], body: bytes, token: str | None, names: str, signature: str
) -> None:
    added = signature_headers(
        {"Host": "example.amazonaws.com", **headers},
        body,
        path="/",
        keys=ReadOnlyCredentials(*EXAMPLE, token),
        scope=("us-east-1", "service"),
        now=datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp(),
    )
    assert added["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


VISIBLE = st.characters(min_codepoint=33, max_codepoint=126)
NAMES = st.from_regex(r"x-[a-z][a-z0-9-]{0,20}", fullmatch=True).filter(
    lambda name: name not in ("x-amz-date", "x-amz-security-token", "x-amzn-trace-id")
)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2099, 1, 1))  # noqa: DTZ001 # hypothesis wants none


@given(
    headers=st.dictionaries(NAMES, VALUES, max_size=5),
    body=st.binary(max_size=2000),
    part=st.text(VISIBLE, max_size=20).filter(lambda part: not {".", "/"} & set(part)),
    keys=st.builds(
        ReadOnlyCredentials,
        st.text(VISIBLE, min_size=1),
        st.text(min_size=1),
        st.none() | st.text(VISIBLE, min_size=1),
    ),
    region=st.from_regex(r"[a-z]{2}-[a-z]{4,9}-[1-9]", fullmatch=True),
    moment=MOMENTS,
)
def test_they_are_botocores(  # what a signature depends on
    headers: dict[str, str],
    body: bytes,
    part: str,
    keys: ReadOnlyCredentials,
    region: str,
    moment: datetime,
) -> None:
    path = f"/{quote(part)}"
    theirs = AWSRequest("POST", f"https://sqs.{region}.example{path}", headers=headers, data=body)
    with patch("botocore.auth.get_current_datetime", lambda *_, **__: moment):
        SigV4Auth(keys, "sqs", region).add_auth(theirs)
    ours = signature_headers(
        {"Host": f"sqs.{region}.example", **headers},
        body,
        path=path,
        keys=keys,
        scope=(region, "sqs"),
        now=moment.replace(tzinfo=UTC).timestamp(),
    )
    assert {name: theirs.headers[name] for name in ours} == ours
