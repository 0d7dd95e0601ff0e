import pytest

from lambdo_router.adapters.fly import FlyLauncher
from lambdo_router.adapters.fly.address import (
    authorization,
    full_address,
    is_private,
    secret_parts,
)
from lambdo_router.core.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("https://api.machines.dev", "https://api.machines.dev", id="in-full"),
        pytest.param("api.machines.dev", "https://api.machines.dev", id="no-scheme"),
        pytest.param("https://api.machines.dev/v1/", "https://api.machines.dev", id="v1-slash"),
        pytest.param(" HTTPS://API.machines.dev/ ", "https://api.machines.dev", id="capitals"),
        pytest.param("_api.internal:4280", "http://_api.internal:4280", id="private-network"),
        pytest.param("http://_api.internal:4280/v1", "http://_api.internal:4280", id="private-v1"),
        pytest.param("localhost:8080", "http://localhost:8080", id="localhost"),
        pytest.param("127.0.0.1:9", "http://127.0.0.1:9", id="loopback"),
        pytest.param("[::1]:9/v1", "http://[::1]:9", id="loopback-6"),
        pytest.param("proxy.example/fly/v1", "https://proxy.example/fly", id="below-a-path"),
    ],
)
def test_addresses_are_taken_as_people_write_them(text: str, expected: str) -> None:
    assert full_address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("ftp://api.machines.dev", id="other-scheme"),
        pytest.param("https://", id="no-host"),
        pytest.param("https://host:port", id="bad-port"),
        pytest.param("https://two words", id="space"),
        pytest.param("https://host/?a=b", id="query"),
        pytest.param("https://me:planted@host", id="password"),
    ],
)
def test_what_is_no_address_is_refused_without_repeating_a_password(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        full_address(text)

    assert "like https://api.machines.dev" in str(caught.value)
    assert "planted" not in str(caught.value)


def test_no_proxy_leads_to_this_machine_or_flys_private_network() -> None:
    urls = ("http://127.0.0.1:1", "http://_api.internal:4280", "https://api.machines.dev")

    assert [is_private(url) for url in urls] == [True, True, False]


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        pytest.param("fm2_abc", "FlyV1 fm2_abc", id="fm2"),
        pytest.param("fm1r_abc", "FlyV1 fm1r_abc", id="fm1r"),
        pytest.param("abc", "Bearer abc", id="any-other"),
        pytest.param("FlyV1 fm2_a,fm2_b", "FlyV1 fm2_a,fm2_b", id="as-fly-prints-it"),
        pytest.param("flyv1 abc", "Bearer abc", id="scheme-in-lower-case"),
        pytest.param("Bearer FLYV1 fm2_abc\n", "FlyV1 fm2_abc", id="both-and-a-line-break"),
        pytest.param("fm2_a, fm2_b", "FlyV1 fm2_a,fm2_b", id="space-after-a-comma"),
        pytest.param("FlyV1 fm2_a,FlyV1 fm2_b\n", "FlyV1 fm2_a,fm2_b", id="of-two-apps"),
    ],
)
def test_the_scheme_follows_from_the_token(token: str, expected: str) -> None:
    assert authorization(token) == expected


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param(" FlyV1 ", id="scheme-alone"),
        pytest.param("planted planted", id="space"),
        pytest.param("planted\r\nX-Other: 1", id="line-break"),
        pytest.param("plantedé", id="not-ascii"),
    ],
)
def test_a_token_that_no_header_can_carry_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(SettingsError) as caught:
        FlyLauncher(token=token)

    assert "fly tokens create deploy" in str(caught.value)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        pytest.param("FlyV1 fm2_abcdef", ("fm2_abcdef",), id="without-its-scheme"),
        pytest.param(
            "fm2_abcdef,fm2_abcdefgh",
            ("fm2_abcdef,fm2_abcdefgh", "fm2_abcdefgh", "fm2_abcdef"),
            id="longest-first",
        ),
        pytest.param(
            "FlyV1 fm2_abcdefgh,FlyV1 fm2_abcdef",
            ("fm2_abcdefgh,fm2_abcdef", "fm2_abcdefgh", "fm2_abcdef"),
            id="each-with-its-scheme",
        ),
        pytest.param("dev", (), id="too-short-for-a-secret"),
    ],
)
def test_what_must_not_be_shown_of_a_token(token: str, expected: tuple[str, ...]) -> None:
    assert secret_parts(token) == expected
