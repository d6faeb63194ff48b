"""A real MLflow server that asks for name and password, under a real training and the service itself."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.api.views.mlflow_facts import RunFacts
from service.reconcile.cluster import AccessRefused, RunFact
from service.reconcile.mlflow_runs import MlflowRuns
from tests.integration.test_tracking_server import Mlflow, train
from trainer.base.ends import ExitCode
from trainer.storage.layout import Storage, mlflow_ids
from trainer.storage.notices import read_notices
from trainer.storage.tracking import Trouble, read_record
from trainer.track import main as track

pytestmark = pytest.mark.integration
ADMIN, PASSWORD, WRONG = "keeper", "correct-horse-battery-staple", "hunter2-hunter2"
CONFIG = """
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{directory}/auth.db
admin_username = {name}
admin_password = {password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow with its own authentication on."""
    directory = tmp_path_factory.mktemp("mlflow")
    config = directory / "auth.ini"
    config.write_text(CONFIG.format(directory=directory, name=ADMIN, password=PASSWORD))
    environment = {"MLFLOW_AUTH_CONFIG_PATH": str(config), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of-a-test"}
    server = Mlflow(directory, options=["--app-name", "basic-auth"], environment=environment)
    try:
        server.start()
        yield server.uri
    finally:
        server.stop()


@pytest.fixture
def password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the environment names, with the right password in it."""
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text(PASSWORD)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "")  # what the client is shown of the file, taken back
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD_FILE", str(file))
    return file


def test_a_training_is_sent_once_the_credentials_are_right(
    locked: str, password: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With wrong ones it completes, and says what is refused; with the right ones all of it is sent later."""
    storage = Storage.at(tmp_path / "storage")
    password.write_text(WRONG)
    report = train(storage, "e1", locked)
    assert report.state == "completed"
    record = read_record(storage.tracked("e1").record)
    assert record is not None
    assert (record.state, record.trouble) == ("behind", Trouble.LOCKED)
    assert "MLflow refuses the credentials: " in str(read_notices(storage.attempt("e1", 1)))
    arguments = ["--experiment", "e1", "--storage", str(storage.root), "--mlflow-uri", locked]
    assert track(arguments) == ExitCode.FAILED
    password.write_text(PASSWORD)
    assert track(arguments) == ExitCode.DONE
    assert _run(locked, mlflow_ids(storage.mlflow_run("e1"))["run_id"])["info"]["status"] == "FINISHED"
    written = [each for each in storage.root.rglob("*") if each.is_file()]
    told = "".join(capfd.readouterr()) + "".join(each.read_text(errors="replace") for each in written)
    assert PASSWORD not in told
    assert WRONG not in told


def test_what_the_service_asks(locked: str, password: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right, it sees; wrong, missing or unreadable, it says so at /readyz, without the password."""
    runs = MlflowRuns(locked)
    try:
        runs.ping()
        assert runs.look({"a" * 32: "0"}) == {"a" * 32: RunFact.GONE}
        password.write_text(WRONG)
        with pytest.raises(AccessRefused, match="refuses the credentials: 401 Unauthorized"):
            runs.ping()
        told = RunFacts(runs).trouble()
        assert told is not None
        assert WRONG not in told
        password.chmod(0o644)
        with pytest.raises(AccessRefused, match=r"MLFLOW_TRACKING_PASSWORD_FILE: .* chmod 600"):
            runs.ping()
    finally:
        runs.close()
    for name in ("USERNAME", "PASSWORD", "PASSWORD_FILE"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    strange = MlflowRuns(locked)
    with pytest.raises(AccessRefused, match="refuses the credentials"):
        strange.ping()
    strange.close()


def _run(server: str, run_id: str) -> dict[str, dict[str, str]]:
    """The run as MLflow's REST API has it."""
    word = base64.b64encode(f"{ADMIN}:{PASSWORD}".encode()).decode()
    address = f"{server}/api/2.0/mlflow/runs/get?run_id={run_id}"
    asked = urllib.request.Request(address, headers={"Authorization": f"Basic {word}"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        found: dict[str, dict[str, str]] = json.load(answer)["run"]
    return found
