"""An HTTP server that answers as an MLflow in trouble does: refuses, is full, hangs, restores nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]  # status, and a document or text
Answering = Callable[[str, dict[str, Any]], Answer]  # path below /api/2.0/mlflow/, and the request's document


def always(status: int, body: Any) -> Answering:
    """The same answer to everything."""
    return lambda path, document: (status, body)


class BinThatKeeps:
    """An MLflow whose experiment `name` is deleted, and which restores nothing."""

    def __init__(self, name: str) -> None:
        self.experiments = {name: {"experiment_id": "1", "name": name, "lifecycle_stage": "deleted"}}
        self.runs: list[dict[str, Any]] = []

    def __call__(self, path: str, document: dict[str, Any]) -> Answer:
        match path:
            case "experiments/get-by-name" if (name := document["experiment_name"]) not in self.experiments:
                return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"no {name}"}
            case "experiments/get-by-name":
                return 200, {"experiment": self.experiments[document["experiment_name"]]}
            case "experiments/get":
                wanted = document["experiment_id"]
                found = [each for each in self.experiments.values() if each["experiment_id"] == wanted]
                return 200, {"experiment": found[0]}
            case "experiments/restore":
                return 403, {"error_code": "PERMISSION_DENIED", "message": "only admins restore"}
            case "experiments/create":
                made = {"experiment_id": str(len(self.experiments) + 1), "name": document["name"]}
                self.experiments[document["name"]] = {**made, "lifecycle_stage": "active"}
                return 200, made
            case "runs/create":
                info = {"run_id": f"r{len(self.runs)}", "experiment_id": document["experiment_id"]}
                info |= {"status": "RUNNING", "lifecycle_stage": "active"}
                self.runs.append(info)
                return 200, {"run": {"info": info, "data": {}}}
            case _:
                return 200, {}


@contextmanager
def stub(answering: Answering | None) -> Iterator[str]:
    """The address of such a server; None: it takes requests and never answers."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            sent = self.rfile.read(length)
            path, _, query = self.path.partition("?")
            if answering is None:
                over.wait(60)
                return
            document = json.loads(sent) if sent.startswith(b"{") else dict(_pairs(query))
            status, body = answering(path.rpartition("/mlflow/")[2], document)
            content = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Retry-After", "3600")  # who obeys it sleeps for an hour
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = _answer

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _pairs(query: str) -> list[tuple[str, str]]:
    from urllib.parse import parse_qsl

    return parse_qsl(query)
