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

    @property
    def notices(self) -> Path:
        """What a person must see of the attempt: see `trainer.storage.notices`."""
        return self.path / "notices.jsonl"

    @property
    def reserve(self) -> Path:
        """Room on the disk for the report: see `trainer.storage.reserve`."""
        return self.path / ".reserve"

    @property
    def permit(self) -> Path:
        """The iteration up to which a sweep's scheduler has judged: see `trainer.storage.orders`."""
        return self.path / "permit"


def trial_id(sweep: str, number: int) -> str:
    """The experiment's id of a sweep's trial: computed, so that a sweep begun again finds its trials."""
    return f"{sweep}-{number:04d}"


@dataclass(frozen=True)
class SweepDir:
    """sweeps/SWEEP/: written by the sweep's job, read by the service; `pause` by either."""

    path: Path

    @property
    def spec(self) -> Path:
        return self.path / "sweep.json"

    @property
    def trials(self) -> Path:
        return self.path / "trials"

    def trial(self, number: int) -> Path:
        """{number, row, variant, settings, experiment, spec}: written before the trial starts."""
        return self.trials / f"{number:04d}.json"

    @property
    def table(self) -> Path:
        """The table as JSON, rewritten after every trial; the same beside it in other formats."""
        return self.path / "table.json"

    @property
    def pause(self) -> Path:
        """While this file exists no trial is started; those that run finish."""
        return self.path / "pause"

    @property
    def mlflow(self) -> Path:
        """mlflow.json of the parent run."""
        return self.path / "mlflow.json"

    def attempt(self, attempt: int) -> AttemptDir:
        return AttemptDir(self.path / str(attempt))


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

    def tracking(self, experiment: str) -> Path:
        """How the last one fared who sent something to MLflow: see `trainer.storage.tracking`."""
        return self.experiment(experiment) / "tracking.json"

    def track_requests(self, experiment: str) -> Path:
        """N/ for each time that everything was to be sent to MLflow again: its request, and its log."""
        return self.experiment(experiment) / "track"

    def stop(self, experiment: str) -> Path:
        """A file that asks the experiment to end: its training loop looks for it at every record."""
        return self.experiment(experiment) / "stop"

    def detached(self, experiment: str) -> Path:
        """A file that says: no longer its sweep's to run, somebody retried it by itself."""
        return self.experiment(experiment) / "detached"

    def newest_attempt(self, experiment: str) -> int:
        """The highest number among the experiment's attempts, 0 where there is none."""
        return newest_attempt(self.experiment(experiment))

    def sweep(self, sweep: str) -> SweepDir:
        return SweepDir(self.root / "sweeps" / sweep)


def newest_attempt(directory: Path) -> int:
    """The highest number among the directories of attempts in `directory`, 0 where there is none."""
    try:
        return max((int(each.name) for each in directory.iterdir() if each.name.isdecimal()), default=0)
    except (FileNotFoundError, NotADirectoryError):
        return 0


def mlflow_ids(path: Path) -> dict[str, str]:
    """What an mlflow.json names: "run_id" and "experiment_id"; "key" alone while the run is being made."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}
