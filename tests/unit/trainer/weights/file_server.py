"""An HTTP server on this machine that gives files as a test says: whole, in part, cut short, not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Step = Callable[["Handler", bytes], None]


class Handler(BaseHTTPRequestHandler):
    """Does what `FileServer.steps` has next for the path, else gives the file, or a part of it."""

    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Range")))
        content = self.server.files.get(self.path)
        steps = self.server.steps.get(self.path, [])
        if steps:
            steps.pop(0)(self, content or b"")
        elif content is None:
            status(404)(self, b"")
        else:
            give(self, content)

    def begin(self, code: int, length: int, **headers: str) -> None:
        self.send_response(code)
        tag = self.server.tags.get(self.path)
        fields = {"Content-Length": str(length), **({"ETag": tag} if tag else {})}
        for name, value in {**fields, **{k.replace("_", "-"): v for k, v in headers.items()}}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


class FileServer(ThreadingHTTPServer):
    """`files` and `tags` (ETags) by path; `seen`: (path, Range) of each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.steps: dict[str, list[Step]] = {}
        self.seen: list[tuple[str, str | None]] = []
        self.released = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


@contextmanager
def serving() -> Iterator[FileServer]:
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def give(handler: Handler, content: bytes) -> None:
    """The part that was asked for, if it is still the same file."""
    wanted, only_if = handler.headers.get("Range"), handler.headers.get("If-Range")
    if wanted is None or only_if not in (None, handler.server.tags.get(handler.path)):
        handler.begin(200, len(content))
        handler.wfile.write(content)
        return
    first = int(wanted.removeprefix("bytes=").removesuffix("-"))
    if first >= len(content):
        handler.begin(416, 0, Content_Range=f"bytes */{len(content)}")
        return
    rest = content[first:]
    handler.begin(206, len(rest), Content_Range=f"bytes {first}-{len(content) - 1}/{len(content)}")
    handler.wfile.write(rest)


def status(code: int) -> Step:
    return lambda handler, _: handler.begin(code, 0)


def whole(handler: Handler, content: bytes) -> None:
    """All of it, whatever part was asked for."""
    handler.begin(200, len(content))
    handler.wfile.write(content)


def cut(length: int) -> Step:
    """Announces the file, and ends the connection after some bytes."""

    def step(handler: Handler, content: bytes) -> None:
        handler.begin(200, len(content))
        handler.wfile.write(content[:length])
        handler.close_connection = True

    return step


def stall(length: int) -> Step:
    """Announces the file, and says nothing more after some bytes, until the test is over."""

    def step(handler: Handler, content: bytes) -> None:
        handler.begin(200, len(content))
        handler.wfile.write(content[:length])
        handler.wfile.flush()
        handler.server.released.wait(60)
        handler.close_connection = True

    return step


def redirect(to: str) -> Step:
    return lambda handler, _: handler.begin(302, 0, Location=to)


def page(handler: Handler, _: bytes) -> None:
    text = b"<!DOCTYPE html><title>Please log in</title>"
    handler.begin(200, len(text), Content_Type="text/html; charset=utf-8")
    handler.wfile.write(text)
