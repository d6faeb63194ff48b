"""Where everything lies in shared storage: the one file that spells these paths."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AttemptDir:
    """runs/EXPERIMENT/ATTEMPT/: written by the job, read by the service."""

    path: Path

    @property
    def spec(self) -> Path:
        return self.path / "spec.json"

    @property
    def plan(self) -> Path:
        return self.path / "plan.json"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def report(self) -> Path:
        return self.path / "report.json"


@dataclass(frozen=True)
class Storage:
    """The storage root shared by the service and every worker."""

    root: Path

    @classmethod
    def at(cls, root: str | Path) -> Storage:
        """The storage at `root`, made absolute: jobs and workers run in other directories."""
        return cls(Path(root).expanduser().resolve())

    @property
    def frequencies(self) -> Path:
        return self.root / "frequencies"

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    def experiment(self, experiment: str) -> Path:
        return self.root / "runs" / experiment

    def attempt(self, experiment: str, attempt: int) -> AttemptDir:
        return AttemptDir(self.experiment(experiment) / str(attempt))

    def checkpoints(self, experiment: str) -> Path:
        """One directory for all attempts: a later attempt resumes from it."""
        return self.experiment(experiment) / "checkpoints"

    def mlflow_run(self, experiment: str) -> Path:
        """{"run_id": …, "experiment_id": …}: the MLflow run that all attempts share."""
        return self.experiment(experiment) / "mlflow.json"


def mlflow_ids(path: Path) -> dict[str, str]:
    """What an mlflow.json names: "run_id" and "experiment_id"; empty while there is no run."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}
