import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.adapters.fly import lists
from lambdo_router.adapters.fly.lists import ElementsOfArray

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def read(*pieces: str) -> list[object]:
    elements = ElementsOfArray()
    found = [element for piece in pieces for element in elements.feed(piece)]
    return [*found, *elements.close()]


@given(st.lists(VALUES, max_size=5), st.lists(st.integers(0, 200), max_size=8), st.data())
def test_however_an_array_is_cut_its_elements_are_the_same(
    values: list[Any], cuts: list[int], data: st.DataObject
) -> None:
    text = json.dumps(values, indent=data.draw(st.sampled_from([None, 1])), ensure_ascii=False)
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]

    assert read(*(text[a:b] for a, b in pairwise(places))) == values


def test_an_element_is_handed_out_once_it_is_complete() -> None:
    elements = ElementsOfArray()

    assert [list(elements.feed(piece)) for piece in ('[{"a": 1}', ", 1", "2", ' , "x"]')] == [
        [],
        [{"a": 1}],
        [],
        [12, "x"],
    ]


@pytest.mark.parametrize("size", [1_000, 5_000, 100_000, 4_000_000])
def test_a_long_element_is_looked_at_no_more_often_than_its_length_doubles(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    class Decoder(json.JSONDecoder):
        def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
            looked.append(len(s) - idx)
            return super().raw_decode(s, idx)

    monkeypatch.setattr(lists, "_DECODER", Decoder())
    text = json.dumps(["x" * size, {"id": "1"}])
    found = read(*(text[at : at + 500] for at in range(0, len(text), 500)))

    assert found == ["x" * size, {"id": "1"}]
    # Up to 4 KiB every piece is worth a look; from there on each look is at twice as much.
    assert sum(looked) <= 40_000 + 4 * size


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param('{"machines": []}', id="an-object"),
        pytest.param("<html>", id="a-page"),
        pytest.param("null", id="null"),
        pytest.param("[", id="cut-off-at-once"),
        pytest.param('[{"id": "1"}', id="cut-off-after-an-element"),
        pytest.param('[{"id": "1"},', id="cut-off-after-a-comma"),
        pytest.param('[{"id": "1', id="cut-off-in-an-element"),
        pytest.param("[1, ]", id="a-comma-too-many"),
        pytest.param("[1 2]", id="a-comma-too-few"),
        pytest.param("[] []", id="two"),
        pytest.param("[,]", id="only-a-comma"),
        pytest.param('["' + "x" * 4_200_000, id="an-element-without-an-end"),
    ],
)
def test_what_is_no_whole_array_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="array"):
        read(text)
