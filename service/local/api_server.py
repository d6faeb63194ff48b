"""The API under uvicorn in a thread of this process: started when asked, stopped without loose ends."""

from __future__ import annotations

import http.client
import logging
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError

from service.local.data_dir import url_of
from service.local.supervisor import StopAsked
from service.shared.health_schemas import Readiness
from service.shared.log_lines import LogFormat, formatter
from service.shared.schemas import ProblemDetail
from trainer.base.errors import RegionRebalanceError
from trainer.base.files import full_disk_told

if TYPE_CHECKING:
    from uvicorn import Server

_GRACE_SECONDS = 3  # for open requests when we stop
_END_SECONDS = 60.0  # for the reconciler to finish its pass
_POLL = 0.05

log = logging.getLogger(__name__)


class ApiFailed(RegionRebalanceError):
    """The API did not start, is not ready, or ended by itself."""


class _LogFile(logging.FileHandler):
    """Says once on stderr that it cannot write, where logging prints a traceback for each line."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:
        del record
        if not self._told:
            self._told = True
            print(f"rebalance: cannot write to {self.baseFilename}: {sys.exc_info()[1]}", file=sys.stderr)


def log_to(path: Path | None, style: LogFormat = "text") -> logging.Handler:
    """Sends all that is logged in this process to a file, appended; None: to stderr. Close it when done."""
    if path is None:
        return _added(logging.StreamHandler(), style)
    with full_disk_told(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        return _added(_LogFile(path, encoding="utf-8"), style)


def _added(handler: logging.Handler, style: LogFormat) -> logging.Handler:
    handler.setFormatter(formatter(style))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for noisy in ("httpx", "httpcore", "alembic.runtime.plugins"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return handler


class ApiServer:
    """Runs an ASGI application on a socket that is bound already."""

    def __init__(self, app: Any, bound: socket.socket, log_file: Path, *, probe: str = "") -> None:
        """`probe`: the token that `app` takes from this process, where it asks for tokens."""
        self._app = app
        self._bound = bound
        self._log_file = log_file
        self._shown = {"Authorization": f"Bearer {probe}"} if probe else {}
        self._server: Server | None = None
        self._thread = threading.Thread(target=self._run, name="api", daemon=True)

    def start(self) -> None:
        """Begins to serve in a thread of its own; see `wait`."""
        import uvicorn

        from service.local.uvicorn_compat import TimedProtocol

        config = uvicorn.Config(
            self._app,
            log_config=None,  # the root logger's handlers take it
            access_log=False,  # ours says more: service/api/watching/request_log.py
            lifespan="on",
            http=TimedProtocol,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread.start()

    def wait(
        self, stop: threading.Event, limit_seconds: float, *, needed: Collection[str] = ()
    ) -> Mapping[str, str]:
        """Returns once /readyz says yes, and that the parts `needed` are well; what is not, and why.

        Storage that fails keeps nobody from starting: `rebalance gc` makes room in it, and asks us.

        Raises:
            ApiFailed: naming what is not ready.
            StopAsked: `stop` was set first.
        """
        deadline = time.monotonic() + limit_seconds
        while True:
            trouble, degraded = self._readiness()
            missing = [f"{name}: {degraded[name]}" for name in needed if name in degraded]
            trouble = trouble or "; ".join(missing)
            if not trouble:
                return degraded
            if not self._thread.is_alive():
                raise ApiFailed(f"the API does not start; see {self._log_file}")
            if time.monotonic() > deadline:
                raise ApiFailed(f"the API is not ready after {limit_seconds:.0f} s: {trouble}")
            if stop.wait(_POLL):
                raise StopAsked("asked to stop while starting")

    def check(self) -> None:
        """Nothing while it serves.

        Raises:
            ApiFailed: it ended by itself.
        """
        if not self._thread.is_alive():
            raise ApiFailed(f"the API stopped unexpectedly; see {self._log_file}")

    def stop(self) -> None:
        """Ends it: open requests get a few seconds, the application's lifespan closes what it opened."""
        if self._server is None:
            self._bound.close()
            return
        self._server.should_exit = True
        self._thread.join(_END_SECONDS)
        self._bound.close()
        if self._thread.is_alive():
            raise ApiFailed(f"the API did not stop within {_END_SECONDS:.0f} s; see {self._log_file}")

    def _run(self) -> None:
        assert self._server is not None
        try:
            self._server.run(sockets=[self._bound])
        except Exception:  # the thread's outermost frame
            log.exception("the API died")

    def _readiness(self) -> tuple[str, Mapping[str, str]]:
        """What keeps /readyz from saying yes, and else which parts are not well."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            question = urllib.request.Request(f"{url_of(self._bound)}/readyz", headers=self._shown)
            with opener.open(question, timeout=30) as answer:
                return "", Readiness.model_validate_json(answer.read()).troubles()
        except HTTPError as error:
            with error:
                return _trouble(error.read(), f"HTTP {error.code}")
        except (URLError, OSError, http.client.HTTPException, ValueError) as error:
            return str(error) or type(error).__name__, {}


def _trouble(body: bytes, otherwise: str) -> tuple[str, Mapping[str, str]]:
    """What a refusal of /readyz says; as parts that are not well where the database is none of them."""
    try:
        told = ProblemDetail.model_validate_json(body)
    except ValueError:
        return otherwise, {}
    failed = {each.pointer.removeprefix("/checks/"): each.got for each in told.errors}
    if failed and "database" not in failed:
        return "", failed
    return told.detail or otherwise, {}
