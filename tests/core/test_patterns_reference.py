"""The compiled matcher against the reference, on patterns and events that are made to collide."""

import pytest
import reference_matcher
from hypothesis import given, settings
from pattern_strategies import ARRAY_EVENTS, ARRAY_PATTERNS, EVENTS, PATTERNS

from lambdo_router.core.patterns import PatternError, compile_pattern
from lambdo_router.core.strict_json import parse_json


def compare(pattern: str, event: str) -> None:
    parsed = parse_json(event)
    assert isinstance(parsed, dict)
    compiled = compile_pattern(parse_json(pattern))
    expected = reference_matcher.matches(pattern, event)

    assert compiled.matches(parsed) is expected
    assert (compiled.why_not(parsed) is None) is expected


@settings(max_examples=150, deadline=None)
@given(PATTERNS, EVENTS)
def test_any_pattern_on_any_event(pattern: str, event: str) -> None:
    try:
        compile_pattern(parse_json(pattern))
    except PatternError:
        with pytest.raises(AssertionError, match="the same path twice"):
            reference_matcher.matches(pattern, event)
    else:
        compare(pattern, event)


@settings(max_examples=250, deadline=None)
@given(ARRAY_PATTERNS, ARRAY_EVENTS)
def test_arrays_that_share_their_paths(pattern: str, event: str) -> None:
    compare(pattern, event)
