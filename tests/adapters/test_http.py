"""What a lost answer means, for every exception of aiohttp; and whose certificates are trusted."""

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import client_exceptions

from lambdo_router.adapters.http import NoAnswer, lost, tls_context

NOT_SENT = {
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ClientConnectorDNSError,
    aiohttp.ClientConnectorSSLError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ClientProxyConnectionError,
    aiohttp.ClientSSLError,
    client_exceptions.UnixClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.InvalidUrlClientError,
}
PERHAPS_SENT = {
    aiohttp.ClientError,
    aiohttp.ClientConnectionError,
    aiohttp.ClientConnectionResetError,
    aiohttp.ClientOSError,
    aiohttp.ClientPayloadError,
    aiohttp.ClientResponseError,
    aiohttp.ContentTypeError,
    aiohttp.InvalidUrlRedirectClientError,
    aiohttp.NonHttpUrlClientError,
    aiohttp.NonHttpUrlRedirectClientError,
    aiohttp.RedirectClientError,
    aiohttp.ServerConnectionError,
    aiohttp.ServerDisconnectedError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ServerTimeoutError,
    aiohttp.SocketTimeoutError,
    aiohttp.TooManyRedirects,
    aiohttp.UploadAbortedError,
    aiohttp.WSServerHandshakeError,
}


def kinds_of(error: type[Exception]) -> Iterator[type[Exception]]:
    yield error
    for kind in error.__subclasses__():
        yield from kinds_of(kind)


def of_aiohttp(error: type[Exception]) -> set[type[Exception]]:
    return {kind for kind in kinds_of(error) if kind.__module__.startswith("aiohttp")}


def test_of_every_failure_it_is_known_whether_the_request_was_sent() -> None:
    known = of_aiohttp(aiohttp.ClientError)

    assert known == NOT_SENT | PERHAPS_SENT
    assert {kind for kind in known if not lost(kind).sent} == NOT_SENT


def test_what_aiohttp_raises_besides_comes_from_wrong_use_or_is_translated() -> None:
    raised = {
        kind
        for module in (aiohttp, client_exceptions)
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, Exception)
        and kind.__module__.startswith("aiohttp")
    }

    assert raised - NOT_SENT - PERHAPS_SENT == {
        aiohttp.BadContentDispositionHeader,  # warnings
        aiohttp.BadContentDispositionParam,
        aiohttp.EofStream,  # inside aiohttp
        aiohttp.WebSocketError,
        aiohttp.WSMessageTypeError,
    }


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        pytest.param(TimeoutError(), True, id="timeout"),
        pytest.param(ConnectionRefusedError("refused"), True, id="the-systems"),
        pytest.param(type("New", (aiohttp.ClientError,), {})(), True, id="a-new-one"),
    ],
)
def test_what_does_not_prove_that_nothing_was_sent_counts_as_sent(
    error: Exception,
    sent: bool,  # noqa: FBT001 - a column
) -> None:
    assert NoAnswer(error).sent == sent


def test_where_the_system_has_no_certificates_certifi_s_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    assert tls_context().cert_store_stats()["x509_ca"] > 0
