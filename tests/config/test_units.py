import pytest

from lambdo_router.config.read.units import parse_duration, parse_size, size_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0.0),
        ("1ms", 0.001),
        ("250ms", 0.25),
        ("5s", 5.0),
        ("007s", 7.0),
        ("2m", 120.0),
        ("12h", 43200.0),
    ],
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "1.5s",
        "-1s",
        " 5s",
        "5s ",
        "5 s",
        "5S",
        "5min",
        "1h30m",
        "\N{ARABIC-INDIC DIGIT FIVE}s",
        "1e3s",
        "5s\n",
    ],
)
def test_what_is_no_duration_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"^write a whole number and a unit \(ms, s, m or h\)"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("0kb", 0), ("1kb", 1024), ("512kb", 524288), ("3mb", 3145728), ("4gb", 2**32)],
)
def test_a_size_is_bytes(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize(
    "text", ["", "5", "kb", "5b", "1.5gb", "512KB", "512 kb", "1tb", "5m", "9" * 10 + "kb"]
)
def test_what_is_no_size_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"^write a whole number and a unit \(kb, mb or gb\)"):
        parse_size(text)


@pytest.mark.parametrize("text", ["1kb", "640kb", "300mb", "1gb", "16gb"])
def test_a_size_is_shown_as_it_would_be_written(text: str) -> None:
    assert size_text(parse_size(text)) == text


def test_what_no_unit_divides_is_shown_in_bytes() -> None:
    assert size_text(1500) == "1500 bytes"
