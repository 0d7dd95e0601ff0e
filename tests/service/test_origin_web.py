"""Routes files on a web server, over real HTTP."""

import gzip
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler

import pytest
from files_server import Files, files_server

from lambdo_router.service.remote_routes import remote_store, web
from lambdo_router.service.remote_routes.address import read_address
from lambdo_router.service.remote_routes.remote_store import File, RoutesUnavailable
from lambdo_router.service.remote_routes.web import Web


@pytest.fixture(scope="module")
def server() -> Iterator[Files]:
    with files_server() as files:
        yield files


@pytest.fixture
def files(server: Files) -> Files:
    """The server, with nothing left of other tests."""
    server.__dict__.update(Files(server.url).__dict__)
    server.put("a/routes.yaml", "version: 1\n")
    return server


@pytest.fixture
def there(files: Files) -> Iterator[Web]:
    """The folder `a` of the server."""
    found = Web(read_address(f"{files.url}/a/routes.yaml"))
    yield found
    found.close()


def test_a_file_is_read_once_and_then_only_asked_after(files: Files, there: Web) -> None:
    first = there.read("routes.yaml", None)
    again = there.read("routes.yaml", first)
    files.put("a/routes.yaml", "version: 2\n")
    changed = there.read("routes.yaml", first)

    assert first is not None
    assert first.content == b"version: 1\n"
    assert again is first
    assert changed is not None
    assert changed.content == b"version: 2\n"
    assert [each.if_none_match for each in files.asked] == [None, first.etag, first.etag]


def test_a_server_without_etags_is_read_each_time(files: Files, there: Web) -> None:
    files.etags = False
    first = there.read("routes.yaml", None)
    again = there.read("routes.yaml", first)

    assert first == File(b"version: 1\n")
    assert again == first


def test_last_modified_does_where_there_is_no_etag(files: Files, there: Web) -> None:
    moment = "Tue, 24 Nov 2026 06:00:00 GMT"
    asked: list[str | None] = []

    def answer(request: BaseHTTPRequestHandler) -> bool:
        since = request.headers.get("If-Modified-Since")
        asked.append(since)
        request.send_response(304 if since else 200)
        request.send_header("Last-Modified", moment)
        request.send_header("Content-Length", "0" if since else "1")
        request.end_headers()
        request.wfile.write(b"" if since else b"x")
        return True

    files.tamper = answer
    first = there.read("routes.yaml", None)

    assert first == File(b"x", "", moment)
    assert there.read("routes.yaml", first) is first
    assert asked == [None, moment]


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_is_not_there_is_none(files: Files, there: Web, status: int) -> None:
    files.status = status

    assert there.read("schemas/x.json", None) is None


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "401 Unauthorized; write user and password, or a query with a token"),
        (403, "403 Forbidden; write user and password"),
        (429, "answers 429 Too Many Requests"),
        (503, "answers 503 Service Unavailable"),
        (304, "answers 304 Not Modified"),
        (206, "answers 206 Partial Content"),
    ],
)
def test_other_answers_are_told(files: Files, there: Web, status: int, said: str) -> None:
    files.status = status
    with pytest.raises(RoutesUnavailable) as refused:
        there.read("routes.yaml", None)

    assert said in str(refused.value)
    assert str(refused.value).startswith(f"{files.url}/a/routes.yaml: ")


def test_user_password_and_query_go_out_and_are_not_told(files: Files) -> None:
    files.user = "planted-user:planted/pass"
    address = files.url.replace("//", "//planted-user:planted%2Fpass@")
    found = Web(read_address(f"{address}/a/routes.yaml?token=planted"))
    try:
        assert found.read("routes.yaml", None) is not None
        assert files.asked[0].target == "/a/routes.yaml?token=planted"
        files.user = "else"
        with pytest.raises(RoutesUnavailable) as refused:
            found.read("routes.yaml", None)
    finally:
        found.close()

    assert "planted" not in str(refused.value)
    assert "planted" not in repr(refused.value.__cause__)


def test_a_redirect_is_followed_without_the_password_to_another_host(files: Files) -> None:
    with files_server() as other:
        other.put("moved.yaml", "version: 3\n")
        files.redirects["a/routes.yaml"] = "../b/routes.yaml"
        files.redirects["b/routes.yaml"] = f"{other.url}/moved.yaml"
        address = files.url.replace("//", "//user:pass@")
        found = Web(read_address(f"{address}/a/routes.yaml"))
        try:
            file = found.read("routes.yaml", None)
        finally:
            found.close()

    assert file is not None
    assert file.content == b"version: 3\n"
    assert all(each.authorization is not None for each in files.asked)
    assert [each.authorization for each in other.asked] == [None]


def test_redirects_in_circles_end(files: Files, there: Web) -> None:
    files.redirects["a/routes.yaml"] = "routes.yaml"
    with pytest.raises(RoutesUnavailable, match="sends on more than 5 times"):
        there.read("routes.yaml", None)


def test_a_redirect_out_of_tls_is_not_followed(files: Files, there: Web) -> None:
    files.redirects["a/routes.yaml"] = "http://h.example/routes.yaml"
    with pytest.raises(RoutesUnavailable, match="an address without TLS"):
        there.read("routes.yaml", None)


def test_a_file_that_is_too_large_is_not_read_to_its_end(
    files: Files, there: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_store, "MOST_IN_FILE", 1024 * 1024)
    files.contents["a/routes.yaml"] = b"x" * (1024 * 1024 + 1)
    with pytest.raises(RoutesUnavailable, match="the file has over 1 MiB; is it the right one"):
        there.read("routes.yaml", None)


def test_a_file_that_drips_is_given_up(there: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "FILE_TIMEOUT", -1.0)
    with pytest.raises(RoutesUnavailable, match="it did not come within"):
        there.read("routes.yaml", None)


def test_what_a_compressed_answer_would_unpack_to_is_never_known(files: Files, there: Web) -> None:
    def answer(request: BaseHTTPRequestHandler) -> bool:
        content = gzip.compress(b"x" * 1000)
        request.send_response(200)
        request.send_header("Content-Encoding", "gzip")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
        return True

    files.tamper = answer
    with pytest.raises(RoutesUnavailable, match="the server compresses though"):
        there.read("routes.yaml", None)


def with_headers(*headers: tuple[str, str]) -> Callable[[BaseHTTPRequestHandler], bool]:
    def answer(request: BaseHTTPRequestHandler) -> bool:
        request.send_response(200)
        for name, value in headers:
            request.send_header(name, value)
        request.send_header("Content-Length", "1")
        request.end_headers()
        request.wfile.write(b"x")
        return True

    return answer


def test_an_answer_with_headers_without_number_is_no_file(files: Files, there: Web) -> None:
    files.tamper = with_headers(*((f"a{number}", "") for number in range(200)))
    with pytest.raises(RoutesUnavailable, match=r"routes\.yaml: the answer has over 200 headers"):
        there.read("routes.yaml", None)


@pytest.mark.parametrize(
    ("length", "kept"), [(1024, True), (1025, False)], ids=["kept", "as-if-there-were-none"]
)
def test_what_is_kept_to_ask_with_is_bounded(
    files: Files,
    there: Web,
    length: int,
    kept: bool,  # noqa: FBT001 - a column
) -> None:
    files.tamper = with_headers(("ETag", "e" * length), ("Last-Modified", "m" * length))
    expected = File(b"x", "e" * length, "m" * length) if kept else File(b"x")

    assert there.read("routes.yaml", None) == expected


def test_an_answer_that_breaks_off_is_no_file(files: Files, there: Web) -> None:
    def answer(request: BaseHTTPRequestHandler) -> bool:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"version: 1\n")
        request.close_connection = True
        return True

    files.tamper = answer
    with pytest.raises(RoutesUnavailable, match=r"routes\.yaml: peer closed connection"):
        there.read("routes.yaml", None)


def test_a_server_that_is_not_there_is_told() -> None:
    found = Web(read_address("http://127.0.0.1:9/routes.yaml"))
    try:
        with pytest.raises(RoutesUnavailable, match=r"127\.0\.0\.1:9/routes\.yaml: .*refused"):
            found.read("routes.yaml", None)
    finally:
        found.close()
