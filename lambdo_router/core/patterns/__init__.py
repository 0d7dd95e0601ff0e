"""
The pattern language: what an event must look like to take a route.

It is the language of Amazon EventBridge's rules, in the form that SNS filter policies share. A
pattern has the shape of the events it matches. Its fields must all be there; each has a list of
values, one of which must hold:

    {"kind": ["image", {"prefix": "img-"}], "object": {"size": [{"numeric": [">", 0]}]}}

Reading order: `conditions` says what one value may be asked, `operators` (with `texts`, `numbers`
and `exclusion`) reads conditions from a pattern's lists, `compiling` makes flat sub-rules of the
pattern, `walking` and `reading` find the values at a path, `surveying` and `joining` see to arrays,
`pattern` puts it together, and `explaining` says why an event does not match.

Two things are built upon that. `index` (with `lookups`) finds which of thousands of patterns an
event may match, and `many` keeps events with very many values from being slow there. `containment`
(with `containing` and `examples`) says what is certain of patterns without any event.

Where this differs from EventBridge's engine, it is on purpose: IPv4 and IPv6 never mix, the same
path asked twice at once is an error instead of the last one winning, so is an empty list inside
`anything-but`, and of two equal keys of an event only the last counts.
"""

from lambdo_router.core.patterns.compiling import Clause, SubRule
from lambdo_router.core.patterns.containment import covers, covers_all, impossible
from lambdo_router.core.patterns.explaining import Failure
from lambdo_router.core.patterns.index import Index
from lambdo_router.core.patterns.pattern import Pattern, compile_pattern
from lambdo_router.core.patterns.problems import PatternError
from lambdo_router.core.patterns.reading import Reading

__all__ = [
    "Clause",
    "Failure",
    "Index",
    "Pattern",
    "PatternError",
    "Reading",
    "SubRule",
    "compile_pattern",
    "covers",
    "covers_all",
    "impossible",
]
