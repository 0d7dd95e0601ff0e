"""
The pattern language: what an event must look like to take a route.

It is the language of Amazon EventBridge's rules, which SNS filter policies share. A pattern has
the shape of the events it matches. Its fields must all be there; each has a list of values, one of
which must hold:

    {"kind": ["image", {"prefix": "img-"}], "object": {"size": [{"numeric": [">", 0]}]}}

Reading order: `operators` has a class for each operator with all of its meanings, `compiling` makes
flat sub-rules of a pattern, `reading` finds the values at a path, `arrays` decides which of them go
together, `pattern` puts it together, and `explaining` says why an event does not match. Built upon
that, `index` finds which of thousands of patterns an event may match, and `containment` says what
is certain of patterns without any event.

It deliberately differs from EventBridge's engine in four points: IPv4 and IPv6 never mix; testing
the same path twice is an error instead of the last test winning; so is an empty list inside
`anything-but`; and of two equal keys of an event only the last counts.
"""

from lambdo_router.core.patterns.compiling import OR, Clause, SubRule
from lambdo_router.core.patterns.containment import covers, covers_all, example_of, impossible
from lambdo_router.core.patterns.explaining import Unmet
from lambdo_router.core.patterns.index import Index
from lambdo_router.core.patterns.operators import PatternError
from lambdo_router.core.patterns.pattern import Pattern, compile_pattern
from lambdo_router.core.patterns.reading import EventReader

__all__ = [
    "OR",
    "Clause",
    "EventReader",
    "Index",
    "Pattern",
    "PatternError",
    "SubRule",
    "Unmet",
    "compile_pattern",
    "covers",
    "covers_all",
    "example_of",
    "impossible",
]
