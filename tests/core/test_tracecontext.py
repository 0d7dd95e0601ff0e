"""The trace that a message belongs to, in both spellings."""

import re

import pytest
from building import message, text
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.core.message import Attribute
from lambdo_router.core.trace_context import (
    TraceContext,
    context_of,
    read_parent,
    read_xray,
    shared_by,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
FOUND = TraceContext(TRACE, SPAN, "01")


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        pytest.param(PARENT, PARENT, id="recorded"),
        pytest.param(PARENT[:-1] + "0", PARENT[:-1] + "0", id="not-recorded"),
        pytest.param(PARENT[:-1] + "3", PARENT[:-1] + "3", id="recorded-and-random"),
        pytest.param(PARENT[:-2] + "ff", PARENT[:-1] + "3", id="flags-that-nobody-has-defined"),
        pytest.param(f"cc{PARENT[2:]}-more", PARENT, id="a-version-to-come"),
        pytest.param(f"cc-{TRACE}-{SPAN}-fe", PARENT[:-1] + "0", id="its-flags-are-not-known"),
        pytest.param(f"ff{PARENT[2:]}", None, id="no-version"),
        pytest.param(f"{PARENT}-more", None, id="too-much-for-version-00"),
        pytest.param(PARENT.upper(), None, id="upper-case"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", None, id="no-trace"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", None, id="no-span"),
        pytest.param(f"{PARENT}\n", None, id="line-break"),
        pytest.param("x\nLD_PRELOAD=y", None, id="hostile"),
        pytest.param("", None, id="empty"),
    ],
)
def test_a_trace_parent_is_read_as_w3c_has_it(parent: str, expected: str | None) -> None:
    found = read_parent(parent)
    assert (found and found.parent) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param("congo=t61rcWkgMzE", "congo=t61rcWkgMzE", id="one"),
        pytest.param("a=1 ,\tb@c=2,", "a=1,b@c=2", id="white-space-goes"),
        pytest.param("a=1,a=2", "", id="a-key-twice"),
        pytest.param("a", "", id="no-value"),
        pytest.param("A=1", "", id="upper-case-key"),
        pytest.param("1=a", "", id="digit-first"),
        pytest.param("1@a=a", "1@a=a", id="digit-first-of-a-tenant"),
        pytest.param("a@b@c=a", "", id="two-tenants"),
        pytest.param("a@1=a", "", id="system-with-a-digit-first"),
        pytest.param("a=x\ny", "", id="line-break"),
        pytest.param("a=1\x1b[2J", "", id="terminal"),
        pytest.param(",".join(f"k{n}=v" for n in range(33)), "", id="too-many"),
        pytest.param("a=" + "x" * 511, "", id="too-long"),
    ],
)
def test_a_malformed_trace_state_is_dropped_alone(state: str, expected: str) -> None:
    found = read_parent(PARENT, state)
    assert found == TraceContext(TRACE, SPAN, "01", expected)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
            id="sampled",
        ),
        pytest.param(
            "Sampled=0; Parent=53995C3F42CD8AD8; Root=1-5759E988-BD862E3FE1BE46A994272793",
            "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-00",
            id="any-order-spaces-upper-case",
        ),
        pytest.param(
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Lineage=1:2|3:4",
            "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-00",
            id="not-decided-and-more",
        ),
        pytest.param("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", None, id="no-parent"),
        pytest.param(f"Root=2-{TRACE[:8]}-{TRACE[8:]};Parent={SPAN}", None, id="other-version"),
        pytest.param(f"Root=1-{'0' * 8}-{'0' * 24};Parent={SPAN}", None, id="no-trace"),
        pytest.param("Parent=x\nRoot=y", None, id="hostile"),
        pytest.param(";" * 2000, None, id="too-long"),
        pytest.param("", None, id="empty"),
    ],
)
def test_x_rays_header_is_read(header: str, expected: str | None) -> None:
    found = read_xray(header)
    assert (found and found.parent) == expected


XRAY = f"Root=1-{'a' * 8}-{'b' * 24};Parent={'c' * 16};Sampled=1"


@pytest.mark.parametrize(
    ("attributes", "header", "trace_id"),
    [
        pytest.param({"traceparent": text(PARENT)}, XRAY, TRACE, id="w3c-wins"),
        pytest.param({}, XRAY, "a" * 8 + "b" * 24, id="x-ray"),
        pytest.param({"traceparent": text("x")}, XRAY, "a" * 8 + "b" * 24, id="malformed-w3c"),
        pytest.param({"traceparent": Attribute("Binary", b"x")}, "", None, id="bytes"),
        pytest.param({}, "", None, id="none"),
    ],
)
def test_the_senders_own_attribute_comes_before_what_aws_adds(
    attributes: dict[str, Attribute], header: str, trace_id: str | None
) -> None:
    sent = message(system={"AWSTraceHeader": header})
    found = context_of(sent, attributes)
    assert (found and found.trace_id) == trace_id


def test_what_all_share_speaks_for_all() -> None:
    assert shared_by([FOUND, FOUND]) == FOUND
    assert shared_by([FOUND, None]) is None
    assert shared_by([]) is None


# The grammars of W3C's Recommendation, letter by letter.
_MEMBER = (
    r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
VALID_PARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]")
VALID_STATE = re.compile(rf"{_MEMBER}(?:,{_MEMBER}){{0,31}}")
PARENTS = st.text() | st.from_regex(r"[0-9a-f]{2}-[0-9a-fA-F]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
STATES = st.text() | st.from_regex(r"([ \t]*[0-9a-zA@_*/-]{1,5}=[ -~é\n]{0,6},?){0,5}")
HEADERS = st.text() | st.from_regex(r"Root=1-[0-9a-fK]{8}-[0-9aF]{24};Parent=[0-9a-f]{16}(;.*)?")


@given(PARENTS, STATES, HEADERS)
def test_nothing_but_what_w3c_allows_reaches_the_environment(
    parent: str, state: str, header: str
) -> None:
    sent = message(system={"AWSTraceHeader": header})
    found = context_of(sent, {"traceparent": text(parent), "tracestate": text(state)})
    told = found.environment() if found is not None else {}

    assert set(told) in ({"TRACEPARENT", "TRACESTATE"}, {"TRACEPARENT"}, set())
    assert not told or VALID_PARENT.fullmatch(told["TRACEPARENT"])
    assert "TRACESTATE" not in told or VALID_STATE.fullmatch(told["TRACESTATE"])
