"""
What a queue's own policy allows and denies.

Whether a call is allowed also depends on the caller's policies, which only IAM knows, and on
conditions, which depend on the call. So the result is often unknown. Two results are certain: a
statement that denies without a condition denies, and a caller from another account needs a
statement of the queue's policy that allows.

Pure: no I/O.
"""

import fnmatch
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["allowed", "denied", "not_allowed", "unknown"]
"""`denied`: a statement says so. `not_allowed`: one that allows it would be needed, and is not
there. `unknown`: other policies or a condition decide."""

_ASSUMED = re.compile(r"arn:[a-z-]+:sts::\d+:assumed-role/(?P<name>[^/]+)/.*")
_ROLE = re.compile(r"arn:[a-z-]+:iam::(?P<account>\d+):role/(?:.*/)?(?P<name>[^/]+)")
_ROOT = re.compile(r"arn:[a-z-]+:iam::(?P<account>\d+):root")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credentials are used, as STS says."""

    account: str
    arn: str


def verdict(policy: str, action: str, queue_arn: str, caller: Caller | None) -> Verdict:
    """
    Return whether `caller` (None: not known) may do `action`, like `sqs:SendMessage`, on the queue.

    `policy` is the queue's attribute `Policy`, empty where it has none.
    """
    perhaps = allowed = False
    for statement in _statements(policy):
        if not _covers(statement, action, queue_arn, caller):
            continue
        conditional = bool(statement.get("Condition")) or "NotPrincipal" in statement
        if statement.get("Effect") == "Deny" and not conditional:
            return "denied"
        if statement.get("Effect") == "Deny" or conditional:
            perhaps = True
        else:
            allowed = True
    account = queue_arn.split(":")[4] if queue_arn.count(":") >= 5 else ""  # noqa: PLR2004 - arn:p:sqs:region:account:name
    if allowed and not perhaps:
        return "allowed"
    foreign = caller is not None and account not in ("", caller.account)
    return "not_allowed" if foreign and not allowed and not perhaps else "unknown"


def _statements(policy: str) -> Iterator[Mapping[str, object]]:
    try:
        value = json.loads(policy) if policy else {}
    except ValueError:
        return
    found = value.get("Statement", []) if isinstance(value, dict) else []
    for statement in found if isinstance(found, list) else [found]:
        if isinstance(statement, dict):
            yield statement


def _covers(
    statement: Mapping[str, object], action: str, queue_arn: str, caller: Caller | None
) -> bool:
    """Return whether a statement is about this action, queue and caller, conditions aside."""
    if "Action" in statement:
        patterns = _texts(statement["Action"])
        if not any(fnmatch.fnmatchcase(action.lower(), p.lower()) for p in patterns):
            return False
    elif any(
        fnmatch.fnmatchcase(action.lower(), p.lower()) for p in _texts(statement.get("NotAction"))
    ):
        return False
    resources = _texts(statement.get("Resource", "*"))
    if not any(fnmatch.fnmatchcase(queue_arn, pattern) for pattern in resources):
        return False
    return "NotPrincipal" in statement or _is_meant(statement.get("Principal"), caller)


def _is_meant(principal: object, caller: Caller | None) -> bool:
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    return any(_is_caller(name, caller) for name in _texts(named))


def _is_caller(name: str, caller: Caller | None) -> bool:
    if name == "*":
        return True
    if caller is None:
        return False
    root = _ROOT.fullmatch(name)
    if name in (caller.account, caller.arn) or (root and root["account"] == caller.account):
        return True
    role, assumed = _ROLE.fullmatch(name), _ASSUMED.fullmatch(caller.arn)
    if role is None or assumed is None:
        return False
    return (role["account"], role["name"]) == (caller.account, assumed["name"])


def _texts(value: object) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]
