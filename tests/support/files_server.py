"""A web server with a few files on this machine, for routes from elsewhere."""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Asked:
    """One request: what the tests want to know of it."""

    target: str
    if_none_match: str | None
    authorization: str | None


@dataclass
class Files:
    """What the server has; change it as you like between requests."""

    url: str
    contents: dict[str, bytes] = field(default_factory=dict)
    """By path, without the first `/`."""
    etags: bool = True
    status: int = 0
    """What every request is answered with, unless it is 0."""
    redirects: dict[str, str] = field(default_factory=dict)
    user: str = ""
    """`user:password`, if they are asked for."""
    tamper: Callable[[BaseHTTPRequestHandler], bool] = lambda _: False
    """Answers a request in a way of its own, if it returns True."""
    asked: list[Asked] = field(default_factory=list)

    def put(self, path: str, text: str) -> None:
        self.contents[path] = text.encode()

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [urlsplit(each.target).path.removeprefix("/") for each in self.asked]


@contextmanager
def files_server() -> Iterator[Files]:  # noqa: C901 - the handler is a class in it
    files = Files("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path.removeprefix("/")
            known = self.headers.get("If-None-Match")
            files.asked.append(Asked(self.path, known, self.headers.get("Authorization")))
            if files.tamper(self):
                return
            credentials = base64.b64encode(files.user.encode()).decode()
            content = files.contents.get(path)
            if files.status:
                self._answer(files.status)
            elif files.user and self.headers.get("Authorization") != f"Basic {credentials}":
                self._answer(401)
            elif path in files.redirects:
                self._answer(302, location=files.redirects[path])
            elif content is None:
                self._answer(404)
            else:
                self._give(content, known)

        def _give(self, content: bytes, known: str | None) -> None:
            etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"' if files.etags else ""
            if etag and known == etag:
                self._answer(304, etag=etag)
            else:
                self._answer(200, content, etag=etag)

        def _answer(self, status: int, content: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Not on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    files.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield files
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
