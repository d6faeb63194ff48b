"""The API that starts: what may be unwell then, and what may not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import Response

from service.api.problems import problem
from service.local.api_server import ApiFailed, ApiServer
from service.local.data_dir import bind
from trainer.base.errors import Problem


@contextmanager
def serving(log_file: Path, *failed: Problem) -> Iterator[ApiServer]:
    """An API whose /readyz is 503 for these parts."""
    app = FastAPI()

    @app.get("/readyz")
    async def readyz() -> Response:
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "Not ready", "not well", errors=failed)

    server = ApiServer(app, bind("127.0.0.1", 0), log_file)
    server.start()
    try:
        yield server
    finally:
        server.stop()


STORAGE = Problem("/checks/storage", "no space left in /data", "ok")
DATABASE = Problem("/checks/database", "no route to host", "ok")
BACKEND = Problem("/checks/backend", "refused", "ok")


def test_it_starts_over_storage_that_fails(tmp_path: Path) -> None:
    """Else nobody could have it cleared after a restart; which part fails is said."""
    with serving(tmp_path / "log", STORAGE) as server:
        assert server.wait(threading.Event(), 20.0) == {"storage": "no space left in /data"}


@pytest.mark.parametrize("failed", [(DATABASE, STORAGE), (STORAGE, BACKEND), ()])
def test_it_does_not_start_without_what_it_needs(tmp_path: Path, failed: tuple[Problem, ...]) -> None:
    """The database, what the caller needs, and an answer that names its parts."""
    with serving(tmp_path / "log", *failed) as server, pytest.raises(ApiFailed, match="not ready after"):
        server.wait(threading.Event(), 0.2, needed=("backend",))
