"""The price table, and a file that is laid over it."""

import json
from pathlib import Path

import pytest

from lambdo_router.core.errors import SettingsError
from lambdo_router.core.prices import read_prices
from lambdo_router.core.profile import SIZES, Guest
from lambdo_router.service.settings import read_settings


@pytest.mark.parametrize(
    ("size", "memory_mb", "dollars"),
    [
        # As Fly's page has them, in dollars an hour.
        pytest.param("shared-cpu-1x", 256, 0.003047, id="the smallest"),
        pytest.param("shared-cpu-1x", 512, 0.005132, id="more memory"),
        pytest.param("shared-cpu-1x", 2048, 0.017638, id="most memory"),
        pytest.param("shared-cpu-2x", 2048, 0.018601, id="two CPUs, more memory"),
        pytest.param("shared-cpu-8x", 2048, 0.024379, id="eight CPUs"),
        pytest.param("performance-1x", 2048, 0.045835, id="performance"),
        pytest.param("performance-16x", 32768, 0.733363, id="the largest"),
    ],
)
def test_a_machine_costs_what_the_price_list_says(
    size: str, memory_mb: int, dollars: float
) -> None:
    preset = SIZES[size].guest
    guest = Guest(preset.cpu_kind, preset.cpus, memory_mb)

    assert round(3600 * read_prices().machine_second(guest, "iad"), 6) == dollars


@pytest.mark.parametrize(
    ("region", "factor"),
    [("iad", 1.0), ("gru", 1.615), ("xyz", 1.0), ("", 1.0)],
    ids=["cheapest", "dearest", "a new one", "not known"],
)
def test_a_region_has_its_factor(region: str, factor: float) -> None:
    prices, guest = read_prices(), SIZES["shared-cpu-1x"].guest

    assert prices.machine_second(guest, region) == 8.465e-07 * factor


def test_what_a_file_says_is_laid_over_the_table(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text(
        json.dumps(
            {
                "date": "2027-01-01",
                "sources": ["our contract"],
                "vcpu_second": {"shared": 1e-06},
                "region_factor": {"xyz": 1.5},
            }
        )
    )
    prices, shipped = read_prices(str(file)), read_prices()

    assert prices.date == "2027-01-01"
    assert prices.vcpu_second == {"shared": 1e-06, "performance": 1.2732e-05}
    assert prices.region_factor == {**shipped.region_factor, "xyz": 1.5}
    assert prices.sqs_request == {"standard": 4e-07, "fifo": 5e-07}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{", "cannot be read: expecting property name", id="not JSON"),
        pytest.param("[]", "cannot be read: it must hold a JSON object", id="no object"),
        pytest.param("{}", "`date` is missing; write the day", id="no date"),
        pytest.param('{"date": 2027}', "`date` must be a text", id="a number as date"),
        pytest.param(
            '{"date": "x", "cpu": 1}', "`cpu` is not known; allowed are: currency, date", id="key"
        ),
        pytest.param(
            '{"date": "x", "vcpu_second": {"gpu": 1}}',
            "`vcpu_second.gpu` is not known; allowed are: performance, shared",
            id="kind",
        ),
        pytest.param(
            '{"date": "x", "vcpu_second": 1}', "`vcpu_second` must be an object", id="number"
        ),
        pytest.param(
            '{"date": "x", "region_factor": {"iad": -1}}',
            "`region_factor.iad` must be a number, 0 or more",
            id="negative",
        ),
        pytest.param(
            '{"date": "x", "extra_gb_second": true}',
            "`extra_gb_second` must be a number of US dollars",
            id="bool",
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_what_is_allowed(
    text: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "prices.json"
    file.write_text(text)

    with pytest.raises(SettingsError) as refused:
        read_prices(str(file))
    assert f"LAMBDO_PRICES: {file}" in str(refused.value)
    assert said in str(refused.value)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text('{"cpu": 1, "extra_gb_second": "much"}')

    with pytest.raises(SettingsError) as refused:
        read_prices(str(file))
    assert len(str(refused.value).splitlines()) == 3


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.json cannot be read: No such file"):
        read_prices("nowhere.json")


def test_the_environment_names_the_file() -> None:
    assert read_settings({"LAMBDO_PRICES": "prices.json"}).prices == "prices.json"
    assert read_settings({}).prices is None
