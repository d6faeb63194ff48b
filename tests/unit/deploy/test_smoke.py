"""deploy/smoke.sh against a real API over a fake cluster: what is wrong with a deployment is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.smoke import documents
from deploy.smoke.pictures import picture
from service.api.app import create_app
from service.local.api_server import ApiServer
from service.local.data_dir import bind, url_of
from service.migrations import migrate
from service.shared.settings import Settings
from service.shared.states import State
from service.shared.tokens import new_secret
from service.store.experiments import Store
from service.store.records import Experiment, Filters
from sweeps.document.expand import expand
from sweeps.document.spec import parse_sweep
from tests.fakes import FakeBackend
from tests.paths import ROOT
from tests.unit.service.conftest import make_token
from tests.unit.service.served import LIMIT_SECONDS, until
from trainer.spec.recipes import Machines
from trainer.spec.spec import parse_spec

pytestmark = pytest.mark.slow

COMMAND = [str(ROOT / "deploy" / "smoke.sh")]


@dataclass
class Deployment:
    """A service that asks for tokens, and the cluster behind it."""

    url: str
    settings: Settings
    backend: FakeBackend

    def stored(self) -> list[Experiment]:
        with closing(Store(self.settings.database)) as store:
            return store.page(Filters(), cursor=None, limit=10)[0]


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """Its jobs wait for ever: a cluster without nodes."""
    settings = Settings(data_dir=tmp_path, require_token=True, poll_seconds=0.05)
    migrate(settings)
    backend, probe, bound = FakeBackend(), new_secret(), bind("127.0.0.1", 0)
    server = ApiServer(create_app(settings, backend, probe=probe), bound, tmp_path / "log", probe=probe)
    server.start()
    server.wait(threading.Event(), LIMIT_SECONDS)
    yield Deployment(url_of(bound), settings, backend)
    server.stop()


def environment(token: str = "") -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/nowhere", "REBALANCE_TOKEN": token}


def smoke(*arguments: str, token: str = "", code: int = 1, **variables: str) -> tuple[str, dict[str, Any]]:
    """What it said, and what it measured where it began."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(token) | variables,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS * 2,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert not token or token not in done.stdout + done.stderr
    return done.stderr, json.loads(done.stdout) if done.stdout else {}


def test_nothing_there() -> None:
    """A port on which nobody listens: the address and the system's reason, once the limit has passed."""
    with closing(bind("127.0.0.1", 0)) as bound:  # bound, but not listening
        told, measured = smoke(url_of(bound), "--limit", "1")
    assert "ready: FAILED: is not ready after 1 s" in told
    assert "Connection refused" in told
    assert measured["failed"] == "ready"
    assert measured["ok"] is False


def test_something_else_there(deployment: Deployment) -> None:
    """A path below the service is no service."""
    told, _ = smoke(f"{deployment.url}/lab", "--limit", "1")
    assert "HTTP 401" in told


def test_a_service_that_is_not_ready(deployment: Deployment) -> None:
    """The parts that are not well are named, to who may read them."""
    deployment.backend.down = True
    viewer = make_token(deployment.settings, "viewer").token
    told, _ = smoke(deployment.url, "--limit", "1", token=viewer)
    assert "ready: FAILED: is not ready after 1 s: backend: " in told
    told, _ = smoke(deployment.url, "--limit", "1")
    assert "degraded; a viewer's token is told why" in told


def test_tokens_that_do_not_count(deployment: Deployment) -> None:
    """A wrong one is told at once, none and a viewer's with the first thing that is asked for."""
    told, measured = smoke(deployment.url, token=new_secret())
    assert "ready: FAILED: GET /readyz: HTTP 401 Unauthorized: nobody has made this token here" in told
    assert measured["seconds_total"] < LIMIT_SECONDS
    told, _ = smoke(deployment.url)
    assert "post: FAILED: POST /experiments: HTTP 401 Unauthorized: send Authorization: Bearer" in told
    told, _ = smoke(deployment.url, token=make_token(deployment.settings, "viewer").token)
    assert "has scope viewer; this needs scope user" in told
    assert deployment.stored() == []


def test_what_was_begun_is_cancelled_where_a_step_fails(deployment: Deployment, tmp_path: Path) -> None:
    """A token in a file counts; a job that never starts fails the step, and is not left behind."""
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text(make_token(deployment.settings, "user").token + "\n")
    variables = {**environment(), "REBALANCE_TOKEN_FILE": str(file)}
    del variables["REBALANCE_TOKEN"]
    done = subprocess.run(
        [*COMMAND, deployment.url, "--limit", "1"], env=variables, capture_output=True, text=True, check=False
    )
    assert "follow: FAILED: /experiments/" in done.stderr
    assert "is not completed after 1 s: it is submitted" in done.stderr
    assert list(json.loads(done.stdout)["seconds"]) == ["ready", "post"]
    (left,) = deployment.stored()
    assert left.cancel_requested_at is not None
    file.chmod(0o640)
    again = subprocess.run(
        [*COMMAND, deployment.url], env=variables, capture_output=True, text=True, check=False
    )
    assert again.returncode == 2
    assert "allowed: chmod 600" in again.stderr


def test_a_signal_leaves_nothing_running(deployment: Deployment) -> None:
    """SIGTERM while it waits: what was begun is asked to end, and the exit code says why."""
    token = make_token(deployment.settings, "user").token
    with subprocess.Popen(
        [*COMMAND, deployment.url, "--limit", "20"],
        env=environment(token),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:
        # Stored, it may not know the id yet: that comes before its job does.
        until(lambda: [each for each in deployment.stored() if each.state is State.SUBMITTED])
        running.send_signal(signal.SIGTERM)
        out, _ = running.communicate(timeout=LIMIT_SECONDS)
    assert running.returncode == 143
    assert json.loads(out)["ok"] is False
    assert all(each.cancel_requested_at is not None for each in deployment.stored())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["lab.example"], "is no address; allowed: http://HOST:PORT"),
        (["https://me:pass@lab.example"], "no user or password in an address"),
        (["http://lab.example"], "over plain http a token or password could be read on the way"),
        (["https://lab.example", "--gpus", "0"], "argument --gpus: '0'; allowed: an integer"),
        (["https://lab.example", "--data", "data:ade20k"], "allowed: with --gpus N"),
        ([], "the following arguments are required: URL"),
    ],
)
def test_command_lines_that_cannot_be_meant(arguments: list[str], told: str) -> None:
    """One line, exit code 2, and nothing was asked of anybody."""
    said, measured = smoke(*arguments, token=new_secret(), code=2)
    assert told in said
    assert len(said.splitlines()) == 1
    assert measured == {}


def test_without_python_it_says_so() -> None:
    """The one thing that it needs beside a shell."""
    said, _ = smoke("http://127.0.0.1:9", code=2, PYTHON="python-of-nowhere")
    assert said.startswith("smoke: python-of-nowhere: not found; allowed: Python 3.9 or newer")


@pytest.mark.parametrize("data", [None, "data:ade20k"])
@pytest.mark.parametrize("gpus", [1, 4])
def test_what_it_asks_for_is_what_a_spec_may_say(gpus: int, data: str | None) -> None:
    """Each document is one that the service takes, the row's with as many workers as GPUs."""
    assert parse_spec(documents.experiment("a")).schedule.iterations == 20
    assert len(expand(parse_sweep(documents.sweep("a")))) == 2
    row = parse_spec(documents.row("a", gpus, data), Machines(gpus=gpus, cpus=64))
    assert (row.resources.workers, row.resources.gpus_per_worker) == (gpus, 1)
    assert row.schedule.iterations == documents.STEPS_OF_ROW


def test_its_picture_is_one(tmp_path: Path) -> None:
    """Drawn without a library, it is a PNG for those that have one."""
    from PIL import Image

    (tmp_path / "a.png").write_bytes(picture())
    with Image.open(tmp_path / "a.png") as opened:
        opened.load()
        assert (opened.size, opened.mode) == ((64, 64), "RGB")
