"""Which URLs can be asked."""

import pytest

from lambdo_router.core.urls import is_http


@pytest.mark.parametrize(
    ("url", "valid"),
    [
        ("http://host", True),
        ("https://me:secret@host:8443/path?query", True),
        ("http://[::1]:9091", True),
        ("socks5://host", False),
        ("host:80", False),
        ("http://", False),
        ("http://:80", False),
        ("http://host:0", False),
        ("http://host:65536", False),
        ("http://host:port", False),
        ("http://[", False),
    ],
)
def test_a_url_of_http_has_a_host_and_a_port_that_can_be(url: str, *, valid: bool) -> None:
    assert is_http(url) is valid
