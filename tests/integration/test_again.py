"""More of what was run, on a real Ray: a sweep with more trials, an experiment with more iterations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.document.spec import parse_sweep
from sweeps.document.stages import extended, parse_extension
from tests.factories import tiny_document
from tests.integration.sweep_process import ENVIRONMENT, LIMIT_SECONDS, Sweep, document
from trainer.results.report import AttemptReport, read_report
from trainer.spec.spec import ExperimentSpec, canonical_json, parse_spec, spec_hash
from trainer.storage.checkpoints import lend
from trainer.storage.layout import Storage

pytestmark = pytest.mark.integration


def test_a_sweep_that_grew(tmp_path: Path, cluster: str) -> None:
    """Its next job begins the new trials alone, by the numbers after those there; the table has all."""
    axes = [{"pointer": "/method/lambda", "grid": [0]}]
    asked = document(iterations=2, base={"method": "region_rebalance"}, axes=axes, seeds=[0])
    sweep = Sweep(tmp_path, asked, cluster)
    assert sweep.run().trials.completed == 1
    before = sweep.ended()
    more = parse_extension({"seeds": 1, "axes": {"/method/lambda": [0.3]}})
    sweep.becomes(json.loads(extended(parse_sweep(asked), more).model_dump_json()))
    report = sweep.run(attempt=2)
    assert report.trials.completed == 4
    assert sweep.trials() == [sweep.id(number) for number in range(4)]
    assert before.items() <= sweep.ended().items(), "a trial was run again"
    (block,) = sweep.table().blocks
    assert [(row.row, row.seeds) for row in block.rows] == [("lambda=0", (0, 1)), ("lambda=0.3", (0, 1))]
    assert "1 trials have ended already" in sweep.said()


def _job(storage: Storage, experiment: str, spec: ExperimentSpec, cluster: str) -> AttemptReport:
    """What `python -m trainer.job` reports."""
    file = storage.root / f"{experiment}.json"
    storage.root.mkdir(exist_ok=True)
    file.write_text(canonical_json(spec))
    argv = [sys.executable, "-m", "trainer.job", "--spec", str(file), "--experiment", experiment]
    subprocess.run(
        [*argv, "--storage", str(storage.root)],
        env={**os.environ, **ENVIRONMENT, "RAY_ADDRESS": cluster},
        check=False,
        timeout=LIMIT_SECONDS,
        capture_output=True,
    )
    report = read_report(storage.attempt(experiment, 1).report)
    assert report is not None
    return report


def test_an_experiment_that_goes_on(tmp_path: Path, cluster: str) -> None:
    """Its job begins with the checkpoint that lies in its own directory, and reports all iterations; without
    one it fails for good.
    """
    storage = Storage.at(tmp_path / "storage")
    old = parse_spec(tiny_document(schedule={"iterations": 2, "batch_size": 4, "learning_rate": 0.1}))
    assert _job(storage, "old", old, cluster).result is not None
    spec = old.model_dump(mode="json")
    spec["schedule"]["iterations"] = 5
    names = {"experiment": "old", "iteration": 2, "spec_hash": spec_hash(old), "rate": "rewarmed"}
    new = parse_spec({**spec, "continues": names})
    lend(storage, "old", 2, "new")
    storage.experiment("old").delete()
    report = _job(storage, "new", new, cluster)
    assert report.result is not None
    assert (report.result.iterations, report.spec.continues) == (5, new.continues)
    assert "continues old from iteration 2" in storage.attempt("new", 1).metrics.read_text()
    lost = _job(storage, "lost", new, cluster)
    assert lost.error is not None
    assert (lost.error.type, lost.error.retryable) == ("CheckpointError", False)
