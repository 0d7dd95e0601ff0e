"""What a queue's own policy says for certain, and where it does not decide."""

import json
from typing import Any

import pytest

from lambdo_router.adapters.sqs.policy import Caller, Verdict, verdict

QUEUE = "arn:aws:sqs:us-east-1:111111111111:orders"
AT_HOME = Caller("111111111111", "arn:aws:sts::111111111111:assumed-role/router/x")
ABROAD = Caller("222222222222", "arn:aws:sts::222222222222:assumed-role/router/x")
ROLE = "arn:aws:iam::222222222222:role/team/router"


def allow(principal: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": "sqs:*", "Resource": QUEUE, **more}


def deny(principal: Any, **more: Any) -> dict[str, Any]:
    return {**allow(principal, **more), "Effect": "Deny"}


IF = {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("statements", "caller", "expected"),
    [
        pytest.param([], AT_HOME, "unknown", id="none-at-home"),
        pytest.param([], ABROAD, "not_allowed", id="none-abroad"),
        pytest.param([], None, "unknown", id="none-nobody-knows-who"),
        pytest.param([allow("*")], ABROAD, "allowed", id="everybody"),
        pytest.param([allow({"AWS": "*"})], None, "allowed", id="everybody-of-aws"),
        pytest.param([allow({"AWS": "222222222222"})], ABROAD, "allowed", id="by-account"),
        pytest.param(
            [allow({"AWS": ["arn:aws:iam::222222222222:root"]})], ABROAD, "allowed", id="by-root"
        ),
        pytest.param([allow({"AWS": ROLE})], ABROAD, "allowed", id="by-role"),
        pytest.param([allow({"AWS": ABROAD.arn})], ABROAD, "allowed", id="by-session"),
        pytest.param([allow({"AWS": f"{ROLE}-other"})], ABROAD, "not_allowed", id="another-role"),
        pytest.param([allow({"AWS": "333333333333"})], ABROAD, "not_allowed", id="other-account"),
        pytest.param([allow({"Service": "sns.amazonaws.com"})], ABROAD, "not_allowed", id="sns"),
        pytest.param([allow("*", Condition=IF)], ABROAD, "unknown", id="allowed-if"),
        pytest.param([allow("*", Action="SQS:sendmessage")], ABROAD, "allowed", id="any-case"),
        pytest.param([allow("*", Action=["sqs:Send*"])], ABROAD, "allowed", id="by-pattern"),
        pytest.param([allow("*", Action="sqs:Receive*")], ABROAD, "not_allowed", id="another-one"),
        pytest.param(
            [allow("*", Resource=f"{QUEUE}-2")], ABROAD, "not_allowed", id="another-queue"
        ),
        pytest.param([deny("*")], AT_HOME, "denied", id="denied-to-all"),
        pytest.param([deny("*")], None, "denied", id="denied-to-all-whoever-asks"),
        pytest.param([allow("*"), deny({"AWS": ROLE})], ABROAD, "denied", id="denied-to-one"),
        pytest.param([deny({"AWS": ROLE})], AT_HOME, "unknown", id="denied-to-another"),
        pytest.param([deny("*", Condition=IF)], AT_HOME, "unknown", id="denied-if"),
        pytest.param([allow("*"), deny("*", Condition=IF)], ABROAD, "unknown", id="both"),
        pytest.param(
            [{"Effect": "Deny", "NotPrincipal": {"AWS": "1"}, "Action": "*", "Resource": "*"}],
            *(AT_HOME, "unknown"),
            id="denied-to-all-but",
        ),
        pytest.param(
            [{"Effect": "Allow", "Principal": "*", "NotAction": "sqs:Delete*", "Resource": "*"}],
            *(ABROAD, "allowed"),
            id="all-actions-but-others",
        ),
        pytest.param(
            [{"Effect": "Allow", "Principal": "*", "NotAction": "sqs:Send*", "Resource": "*"}],
            *(ABROAD, "not_allowed"),
            id="all-actions-but-this",
        ),
    ],
)
def test_a_policy(statements: list[Any], caller: Caller | None, expected: Verdict) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements}) if statements else ""

    assert verdict(policy, "sqs:SendMessage", QUEUE, caller) == expected


def test_a_single_statement_needs_no_list() -> None:
    assert verdict(json.dumps({"Statement": deny("*")}), "sqs:SendMessage", QUEUE, None) == "denied"


@pytest.mark.parametrize("policy", ["{", "[]", "null", '{"Statement": 5}', '{"Statement": [1]}'])
def test_what_is_no_policy_says_nothing(policy: str) -> None:
    assert verdict(policy, "sqs:SendMessage", QUEUE, AT_HOME) == "unknown"
