"""Each of the corpus is refused by the real server: in words, at its place, cheaply, and without a trace.

The corpus: `documents.py` (specs, sweeps), `small.py` (other bodies) and `around.py` (paths, headers, tokens,
pictures). What a job finds in files of weights is tested by `tests/unit/trainer/weights/test_pickles.py`, own
models beyond the few here by `tests/unit/trainer/spec/own/test_hostile_models.py`, pictures of data sets by
`tests/unit/trainer/data/`.
"""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from service.local.api_server import log_to
from tests.data_factories import spec_document
from tests.hostile import around, documents, small
from tests.hostile.request import SECRET, Answer, Hostile, exchange
from tests.unit.service.checkpoint_files import leave_checkpoints
from tests.unit.service.served import Service, serving, until
from trainer.storage.layout import Storage

PROCESSOR_SECONDS = 1.0  # client and server together
MOST_KILOBYTES = 64 << 10  # by which the memory may grow
LONGEST_ANSWER = 64 << 10  # bytes
OPEN: dict[str, Hostile] = {
    f"{group}: {name}": case
    for group, cases in {
        "malformed": documents.MALFORMED,
        "value": documents.VALUES,
        "place": documents.PLACES,
        "config": documents.CONFIG,
        "sweep": documents.SWEEPS,
        "small": small.SMALL,
        "picture": around.PICTURES,
        "path": around.PATHS,
        "header": around.HEADERS,
    }.items()
    for name, case in cases.items()
}


class Target:
    """A service, an experiment with weights in it, all that it has stored and logged."""

    def __init__(self, service: Service, log: Path) -> None:
        self.url = service.url
        self.log = log
        self._files = service.directory
        posted = httpx.post(f"{self.url}/experiments", json=spec_document(name="trained")).raise_for_status()
        self.trained = str(posted.json()["id"])
        until(self._submitted)  # the reconciler has written what it writes
        leave_checkpoints(Storage.at(service.directory / "storage"), self.trained)

    def _submitted(self) -> bool:
        found = httpx.get(f"{self.url}/experiments/{self.trained}").raise_for_status().json()
        return bool(found["state"] == "submitted")

    def stored(self) -> tuple[set[Path], list[str], list[str]]:
        """Files but the database's and the log, experiments, sweeps."""
        files = {
            path for path in self._files.rglob("*") if not path.name.startswith(("rebalance.db", "service"))
        }
        lists = [httpx.get(f"{self.url}/{kind}").json()["items"] for kind in ("experiments", "sweeps")]
        experiments, sweeps = ([each["id"] for each in found] for found in lists)
        return files, experiments, sweeps


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The log of `rebalance serve`."""
    file = tmp_path_factory.mktemp("log") / "service.log"
    with closing(log_to(file)):
        yield file


@pytest.fixture(scope="module")
def target(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with serving(tmp_path_factory.mktemp("open")) as service:
        yield Target(service, log)


@pytest.fixture(scope="module")
def closed(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service that asks for tokens."""
    with serving(tmp_path_factory.mktemp("closed"), require_token=True) as service:
        yield service.url


def refused(url: str, case: Hostile, log: Path, *, trained: str = "") -> Answer:
    """The answer, which came cheaply and left nothing in the log that does not belong there."""
    content, logged = case.body(), len(log.read_text())
    spent, held = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = exchange(url, case, content, trained=trained)
    assert time.process_time() - spent < PROCESSOR_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < MOST_KILOBYTES
    assert answer.status == case.status, answer.body[:500]
    assert len(answer.body) < LONGEST_ANSWER
    assert "set-cookie" not in answer.headers
    assert b"Traceback" not in answer.body
    check_log(log.read_text()[logged:])
    return answer


def check_log(text: str) -> None:
    """No error of ours, and nothing that somebody may take for a password."""
    assert "Traceback" not in text, text
    assert " ERROR " not in text, text
    assert SECRET not in text, text


@pytest.mark.parametrize("name", OPEN)
def test_it_is_refused_and_nothing_stays(target: Target, name: str) -> None:
    """With pointer, what was wrong and what is allowed; within a second, 64 MB and a log without errors."""
    case, before = OPEN[name], target.stored()
    answer = refused(target.url, case, target.log, trained=target.trained)
    assert target.stored() == before
    if case.status == 400 and answer.headers["content-type"].startswith("text/plain"):
        assert answer.body == b"Invalid HTTP request received."  # the server's own, before any of us sees it
        return
    problem = answer.problem()
    assert problem["detail"].isprintable()
    assert case.told in problem["detail"]
    if case.status == 422:
        assert all(each["got"] and each["allowed"] for each in problem["errors"])
        assert problem["errors"]
    if case.pointer is not None:
        assert case.pointer in [each["pointer"] for each in problem["errors"]]


@pytest.mark.parametrize("name", around.TOKENS)
def test_no_token_is_told_to_anybody(closed: str, log: Path, name: str) -> None:
    """401 before anything else is looked at; what was shown is neither answered nor logged."""
    answer = refused(closed, around.TOKENS[name], log)
    assert SECRET.encode() not in answer.body
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_headers_without_an_end_are_cut_off(target: Target) -> None:
    """Whoever sends more and more of them is hung up on, long before they take memory."""
    parts, sent = urlsplit(target.url), 0
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: {parts.netloc}\r\nCookie: ".encode())
        with suppress(ConnectionError):
            while sent < 64 << 20:
                connection.sendall(bytes(64 << 10).replace(b"\0", b"a"))
                sent += 64 << 10
    assert sent < 64 << 20


def test_one_that_breaks_off_is_no_error_of_ours(target: Target) -> None:
    """A client that goes away in the midst of its body leaves one line in the log, not a traceback."""
    before, parts = target.stored(), urlsplit(target.url)
    logged = len(target.log.read_text())
    head = f"POST /experiments HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(f"{head}X-Request-ID: broken-off\r\nContent-Length: 100\r\n\r\n{{".encode())
    until(lambda: "broken-off" in target.log.read_text()[logged:])
    check_log(target.log.read_text()[logged:])
    assert target.stored() == before
