"""An exported MLflow model, served by MLflow's own server and asked over HTTP; and loaded from a store."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.trainer.mmseg_adapter.export.deployed_models import WHOLE, deployed, real_pictures
from trainer.mmseg_adapter.export.export import export_model
from trainer.mmseg_adapter.export.pictures import Picture, predicted
from trainer.tracking.mlflow_tracker import MlflowTracker
from trainer.tracking.tracker import RunInfo

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore::UserWarning:mmseg.*")]
_LIMIT = 180.0  # seconds until the server answers


class Exported:
    """A model of ours in MLflow's form, and what it must say."""

    def __init__(self, folder: Path, pictures: list[Picture]) -> None:
        model, meta = deployed("fpn")
        files, refused = export_model(model, meta, pictures, ["mlflow"], folder, way=WHOLE)
        assert (len(files), refused) == (1, {})
        self.folder = folder / files[0].path
        self.batch = np.stack([picture[:, :, ::-1] for picture in pictures])
        self.labels = np.stack([predicted(model, picture, picture.shape[:2]) for picture in pictures])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, camvid: Path) -> Exported:
    return Exported(tmp_path_factory.mktemp("export"), real_pictures(camvid, (64, 96)))


@pytest.fixture
def address(exported: Exported, tmp_path: Path) -> Iterator[str]:
    """Of a server that runs the model on a port of its own, until the test ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mlflow = str(Path(sys.executable).with_name("mlflow"))
    command = [mlflow, "models", "serve", "-m", str(exported.folder), "--env-manager", "local"]
    log = tmp_path / "server.log"
    with log.open("wb") as stream:
        server = subprocess.Popen(
            [*command, "-h", "127.0.0.1", "-p", str(port)],
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + _LIMIT
        while not _answers(f"{url}/ping"):
            assert server.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < until, log.read_text()[-2000:]
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        time.sleep(0.2)
        return False


def _asked(address: str, pictures: Any) -> Any:
    body = json.dumps({"inputs": pictures.tolist()}).encode()
    request = urllib.request.Request(
        f"{address}/invocations", body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)["predictions"]


def test_mlflow_serves_it(address: str, exported: Exported) -> None:
    """Pictures as JSON in, the checkpoint's labels out; one that is too small is refused in words."""
    assert np.array_equal(np.array(_asked(address, exported.batch)), exported.labels)
    with pytest.raises(urllib.error.HTTPError) as refused:
        _asked(address, exported.batch[:, :1, :1])
    assert refused.value.code == 400
    assert "allowed: from" in json.loads(refused.value.read())["message"]


def test_a_run_has_it_as_a_model(exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent by the tracker, it is loaded by its id from the store, card and all."""
    import mlflow

    monkeypatch.chdir(tmp_path)  # MLflow keeps artifacts where it stands
    tracker = MlflowTracker(f"sqlite:///{tmp_path}/mlflow.db")
    ids = tracker.open(RunInfo(group="g", name="n", params={}, tags={})).ids
    tracker.log_model(exported.folder, "final")
    client: Any = mlflow.MlflowClient()
    (model,) = client.search_logged_models([ids.experiment_id], f"source_run_id = '{ids.run_id}'")
    assert model.name == "final"
    assert "README.md" in {file.path for file in client.list_logged_model_artifacts(model.model_id)}
    loaded = mlflow.pyfunc.load_model(model.model_uri)
    assert np.array_equal(loaded.predict(exported.batch), exported.labels)
    assert loaded.metadata.get_input_schema() is not None
    assert loaded.input_example.shape[-1] == 3
