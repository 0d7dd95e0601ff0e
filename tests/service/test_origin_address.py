"""Addresses of routes from elsewhere: what they say, and what of them may be shown."""

import pytest

from lambdo_router.service.remote_routes.address import (
    RoutesAddress,
    allows,
    is_elsewhere,
    read_address,
)


@pytest.mark.parametrize(
    ("text", "place", "name"),
    [
        ("s3://acme/routes.yaml", "s3://acme", "routes.yaml"),
        ("s3://acme/a b/?#/routes.yaml", "s3://acme/a b/?#", "routes.yaml"),
        ("S3://acme/deploy/routes.yaml", "s3://acme/deploy", "routes.yaml"),
        ("https://h.example/routes.yaml", "https://h.example", "routes.yaml"),
        ("HTTPS://h.example:8443/a/b/r.yml", "https://h.example:8443/a/b", "r.yml"),
        ("https://h.example/a%20b/r%20s.yaml", "https://h.example/a%20b", "r s.yaml"),
        ("https://u:p@h.example/a/r.yaml?token=t", "https://h.example/a", "r.yaml"),
        ("http://127.0.0.1:4566/a/r.yaml", "http://127.0.0.1:4566/a", "r.yaml"),
        ("http://[::1]:4566/r.yaml", "http://[::1]:4566", "r.yaml"),
    ],
)
def test_an_address_is_a_place_and_a_name(text: str, place: str, name: str) -> None:
    address = read_address(text)

    assert (address.place, address.name) == (place, name)
    assert address.shown == f"{place}/{name}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ftp://h.example/r.yaml", "routes are read from s3:// and https://"),
        ("http://h.example/r.yaml", "http is only for servers on this machine"),
        ("https://h.example", "names no file"),
        ("https://h.example/a/", "names no file"),
        ("https://h.example/a/../r.yaml", "dots"),
        ("https://h.example/a/%2e%2e/r.yaml", "dots"),
        ("https://h.example//r.yaml", "empty step"),
        ("https://h.example/a%2Fb.yaml", "names no file"),
        ("https:///r.yaml", "no URL of a file"),
        ("https://h.example/r.yaml#part", "no URL of a file"),
        ("https://h.example:port/r.yaml", "no URL"),
        ("https://h.example/a b.yaml", "no URL of a file"),
        ("s3://acme", "names no file"),
        ("s3://acme/a/", "names no file"),
        ("s3://acme/../r.yaml", "dots"),
        ("s3://A_b/r.yaml", "the name of a bucket"),
        ("s3://arn:aws:s3:x/r.yaml", "the name of a bucket"),
    ],
)
def test_what_is_no_address_is_refused_with_what_is_one(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_address(text)


@pytest.mark.parametrize("text", ["routes.yaml", "/a/b.yaml", "C:/routes.yaml", "a:b", "./s3:/x"])
def test_a_path_is_no_address(text: str) -> None:
    assert not is_elsewhere(text)


SECRET = "https://planted-user:planted-pass@h.example/a/r.yaml?token=planted-token"


def test_no_secret_of_an_address_is_shown() -> None:
    address = read_address(SECRET)

    assert (address.user, address.password) == ("planted-user", "planted-pass")
    assert "planted" not in f"{address.shown} {address.place} {address.shown_of('b.json')}"
    assert "planted-pass" not in repr(address)
    assert "planted-token" not in repr(address)


@pytest.mark.parametrize(
    "text", [SECRET.replace("https", "http"), f"{SECRET}#x", SECRET.replace("/a/", "/../")]
)
def test_a_refusal_repeats_no_secret(text: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - any text, but for the secret
        read_address(text)
    assert "planted" not in str(refused.value)


def test_the_query_goes_out_with_every_file_and_the_password_in_no_url() -> None:
    address = read_address("https://u:p@h.example/a/r.yaml?token=t")

    assert address.url_of("r.yaml") == "https://h.example/a/r.yaml?token=t"
    assert address.url_of("schemas/a b.json") == "https://h.example/a/schemas/a%20b.json?token=t"


LOCAL = read_address("http://127.0.0.1:1/r.yaml")
PUBLIC = read_address("https://h.example/r.yaml")


@pytest.mark.parametrize(
    ("address", "url", "allowed"),
    [
        pytest.param(PUBLIC, "https://other.example/x", True, id="to-tls"),
        pytest.param(PUBLIC, "http://h.example/x", False, id="out-of-tls"),
        pytest.param(PUBLIC, "http://127.0.0.1/x", False, id="from-the-net-to-this-machine"),
        pytest.param(PUBLIC, "file:///etc/passwd", False, id="to-the-disk"),
        pytest.param(PUBLIC, "https://[/x", False, id="no-url"),
        pytest.param(LOCAL, "http://localhost:2/x", True, id="on-this-machine"),
        pytest.param(LOCAL, "http://h.example/x", False, id="from-this-machine-without-tls"),
    ],
)
def test_a_redirect_stays_in_tls(address: RoutesAddress, url: str, *, allowed: bool) -> None:
    assert allows(address, url) is allowed
