"""`python -m trainer.followup` on a real Ray and a real MLflow store, of experiments trained here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.sweep_process import ENVIRONMENT, LIMIT_SECONDS
from tests.unit.trainer.followups.trained import trained, write_data
from trainer.plan import Plan
from trainer.results.followup import EvaluationResult, FollowupReport, read_followup_report
from trainer.storage.layout import Storage
from trainer.track import main as track
from trainer.tracking.run_log import open_run

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::UserWarning:mmseg.*", "ignore:torch.meshgrid.*:UserWarning"),
]


class Followups:
    """Jobs in processes of their own, over one storage, Ray and MLflow store."""

    def __init__(self, directory: Path, address: str) -> None:
        self.directory, self._address = directory, address
        self.storage = Storage.at(directory / "storage")
        self.uri = f"sqlite:///{directory}/mlflow.db"

    def run(self, followup: str, *, experiment: str = "e1", **request: Any) -> tuple[int, FollowupReport]:
        """Exit code and report of a follow-up."""
        spec = self.directory / f"{followup}.json"
        spec.write_text(json.dumps(request))
        command = [sys.executable, "-m", "trainer.followup", "--spec", str(spec), "--mlflow-uri", self.uri]
        command += ["--experiment", experiment, "--followup", followup, "--storage", str(self.storage.root)]
        done = subprocess.run(
            command,
            env=os.environ | ENVIRONMENT | {"RAY_ADDRESS": self._address},
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        report = read_followup_report(self.storage.followup(experiment, followup).attempt(1).report)
        assert report is not None, done.stderr
        return done.returncode, report

    def logged(self, run_id: str) -> tuple[str, dict[str, float], set[str]]:
        """Status, metrics and files of a run."""
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.uri)
        run = client.get_run(run_id)
        folders = [file.path for file in client.list_artifacts(run_id, "evaluations")]
        files = {file.path for folder in folders for file in client.list_artifacts(run_id, folder)}
        return run.info.status, run.data.metrics, files


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    place = tmp_path_factory.mktemp("followups")
    return trained(place / "storage", write_data(place / "blocks"), "e1")


@pytest.fixture
def jobs(plan: Plan, cluster: str, monkeypatch: pytest.MonkeyPatch) -> Followups:
    directory = Path(plan.storage).parent
    monkeypatch.chdir(directory)  # MLflow keeps artifacts where it stands
    return Followups(directory, cluster)


def test_scores_go_into_the_experiments_run(jobs: Followups, plan: Plan) -> None:
    """The same on one worker and on two, counted once each; the run keeps its status, and has them again
    after it was deleted for good and everything was sent once more.
    """
    tracked = plan.model_copy(update={"mlflow_uri": jobs.uri})
    open_run(tracked).close("FAILED")
    code, alone = jobs.run("alone", kind="evaluation")
    both = {"workers": 2}
    modes = ["single_scale", {"name": "mirrored", "flip": True}]
    other_code, two = jobs.run("two", kind="evaluation", resources=both, modes=modes)
    assert (code, other_code, alone.notices, two.notices) == (0, 0, (), ())
    assert isinstance(alone.result, EvaluationResult)
    assert isinstance(two.result, EvaluationResult)
    assert two.result.evaluation["single_scale"] == alone.result.evaluation["single_scale"]
    assert two.result.eval_images == 3
    assert alone.mlflow_run_id is not None
    status, metrics, files = jobs.logged(alone.mlflow_run_id)
    assert status == "FAILED"
    scores = two.result.evaluation["mirrored"]
    assert metrics["again/blocks-val/final/mirrored/mIoU"] == pytest.approx(scores.mIoU)
    wanted = {f"evaluations/two/{name}.json" for name in ("per_class_mirrored", "per_class_single_scale")}
    assert wanted | {"evaluations/two/confusion.npz", "evaluations/alone/report.json"} <= files
    jobs.storage.mlflow_run("e1").delete()
    words = ["--experiment", "e1", "--storage", str(jobs.storage.root), "--mlflow-uri", jobs.uri]
    assert track([*words, "--status", "FAILED"]) == 0
    run_id = json.loads(jobs.storage.mlflow_run("e1").read_text())["run_id"]
    assert run_id != alone.mlflow_run_id
    assert jobs.logged(run_id) == (status, metrics, files)


def test_a_request_that_fails_says_why(jobs: Followups) -> None:
    """A picture that is none: exit code 1, a report, a log, and nothing else in the folder."""
    folder = jobs.storage.followup("e1", "bad")
    folder.picture.write("not a picture")
    code, report = jobs.run("bad", kind="prediction")
    assert (code, report.state) == (1, "failed")
    assert report.error is not None
    assert (report.error.type, report.error.retryable) == ("DataError", False)
    assert (
        "the picture is one that cannot be opened as JPG or PNG; allowed: JPG or PNG" in report.error.message
    )
    assert folder.folder.names() == ["1", "picture"]
    assert "DataError" in folder.attempt(1).log.read_text()


def test_a_request_that_is_none(jobs: Followups, capfd: pytest.CaptureFixture[str]) -> None:
    """Is told with pointers: exit code 2, and no report, for there is nothing to report on."""
    spec = jobs.directory / "none.json"
    spec.write_text('{"kind": "evaluation", "modes": ["best"]}')
    command = [sys.executable, "-m", "trainer.followup", "--spec", str(spec), "--experiment", "e1"]
    command += ["--followup", "none", "--storage", str(jobs.storage.root)]
    assert subprocess.run(command, timeout=LIMIT_SECONDS, check=False).returncode == 2
    assert "/modes/0" in capfd.readouterr().err
    assert not jobs.storage.followup("e1", "none").folder.exists()
