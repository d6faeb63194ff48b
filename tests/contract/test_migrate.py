"""`rebalance migrate` as containers start it: several at once, and before the database is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from service.store.tables import SCHEMA
from tests.paths import ROOT
from tests.postgres import Server
from trainer.base.ends import ExitCode

pytestmark = pytest.mark.integration

LIMIT_SECONDS = 60


def start(url: str, directory: Path, *flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "service.cli", "migrate", "--data-dir", str(directory), "--json", *flags]
    return subprocess.Popen(
        [*command, "--database-url", url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_four_at_once(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """One of them applies every revision, the others find all done, and a fifth has nothing to do."""
    url = f"sqlite:///{tmp_path / 'rebalance.db'}"
    if kind == "postgres":
        url = request.getfixturevalue("postgres").create("four")
    processes = [start(url, tmp_path / str(number), "--wait", str(LIMIT_SECONDS)) for number in range(4)]
    answers = [process.communicate(timeout=LIMIT_SECONDS) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, answers
    documents = [json.loads(out) for out, _ in answers]
    applied = sorted((document["applied"] for document in documents), key=len)
    assert applied[:3] == [[]] * 3
    assert applied[3][-1] == SCHEMA
    if kind == "postgres":
        request.getfixturevalue("postgres").drop("four")


def test_it_waits_for_the_database(postgres: Server, tmp_path: Path) -> None:
    """Says why it waits; once the database is there, it is migrated."""
    process = start(postgres.url("late"), tmp_path, "--wait", str(LIMIT_SECONDS))
    assert process.stderr is not None
    assert "waiting for at most" in process.stderr.readline()
    postgres.create("late")
    out, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 0
    assert json.loads(out)["applied"][-1] == SCHEMA
    postgres.drop("late")


def test_a_database_that_stays_away(tmp_path: Path) -> None:
    """After the limit: one line with the setting and the reason, exit code 1."""
    process = start("postgresql://me@127.0.0.1:1/rebalance", tmp_path, "--wait", "1")
    _, told = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == ExitCode.FAILED
    assert "rebalance: REBALANCE_DATABASE_URL: database 'rebalance' at 127.0.0.1 cannot be used" in told
