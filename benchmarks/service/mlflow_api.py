"""MLflow's own REST API on SQLite, as the embedded instance starts it: runs made and found again."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.service.load import Request
from service.local.data_dir import DataDir
from service.local.servers import mlflow_program

_API = "/api/2.0/mlflow"
_END_SECONDS = 30.0
_EXPERIMENT = "0"  # MLflow's default
_TAGS = [{"key": f"tag{number}", "value": "load"} for number in range(3)]
_LOGGED = {
    "params": [{"key": f"param{number}", "value": "0.5"} for number in range(6)],
    "metrics": [
        {"key": f"metric{number}", "value": 71.25, "timestamp": 1_767_571_200_000, "step": 1000}
        for number in range(3)
    ],
}
_OF_A_RUN = ("params", "metrics", "latest_metrics", "tags")


@contextmanager
def mlflow_server(directory: Path) -> Iterator[str]:
    """The address of a server whose database is in `directory`, ended with the block.

    Raises:
        RuntimeError: it did not start within the time that the product gives it.
    """
    program = mlflow_program(DataDir(directory))
    given = {name: value for name, value in program.environment.items() if value is not None}
    with (directory / "mlflow.log").open("ab") as log:
        process = subprocess.Popen(
            program.argv, cwd=program.directory, env={**os.environ, **given}, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + program.limit_seconds
        while not program.healthy():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("MLflow did not start")
            time.sleep(0.1)
        yield str(program.details["url"])
    finally:
        process.terminate()
        process.wait(_END_SECONDS)


def new_runs(number: int) -> list[Request]:
    """As many requests, each of which makes a run."""
    body = {"experiment_id": _EXPERIMENT, "start_time": 1_767_571_200_000, "tags": _TAGS}
    return [
        ("POST", f"{_API}/runs/create", json.dumps({**body, "run_name": f"run {each}"}))
        for each in range(number)
    ]


def one_run(run_id: str) -> Request:
    """What reads a run."""
    return "GET", f"{_API}/runs/get?run_id={run_id}", None


def page_of_runs(number: int) -> Request:
    """What lists the newest of them."""
    body = {"experiment_ids": [_EXPERIMENT], "max_results": number}
    return "POST", f"{_API}/runs/search", json.dumps(body)


def logged_run(url: str) -> str:
    """The id of a new run with parameters and metrics."""
    (_, path, body), *_ = new_runs(1)
    assert body is not None
    run_id = str(_ask(f"{url}{path}", json.loads(body))["run"]["info"]["run_id"])
    _ask(f"{url}{_API}/runs/log-batch", {"run_id": run_id, **_LOGGED})
    return run_id


def copy_run(directory: Path, run_id: str, number: int, *, first: int = 0) -> list[str]:
    """The ids of `number` copies of a run in the server's database, each a minute younger than the last.

    Through its API that many would take an hour. `first`: how many were copied before.
    """
    copies = [(f"{first + each:032x}", first + each) for each in range(number)]
    file = DataDir(directory).mlflow / "mlflow.db"
    with closing(sqlite3.connect(file, timeout=30)) as database, database:
        database.execute("CREATE TEMP TABLE copies (run TEXT, minutes INTEGER)")
        database.executemany("INSERT INTO copies VALUES (?, ?)", copies)
        changed = {"run_uuid": "run", "start_time": "start_time + 60000 * minutes"}
        _copy(database, "runs", changed, run_id)
        for table in _OF_A_RUN:
            _copy(database, table, {"run_uuid": "run"}, run_id)
    return [run for run, _ in copies]


def _copy(database: sqlite3.Connection, table: str, changed: dict[str, str], run_id: str) -> None:
    names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(changed.get(name, f"{table}.{name}") for name in names)
    database.execute(
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table}, copies "
        f"WHERE {table}.run_uuid = ?",
        (run_id,),
    )


def _ask(url: str, document: dict[str, Any]) -> Any:
    asked = urllib.request.Request(
        url, json.dumps(document).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=60) as answer:
        return json.load(answer)
