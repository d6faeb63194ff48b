"""Where everything lies in shared storage: the one file that spells these paths."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from trainer.storage.port import StoredFile, StoredFolder
from trainer.storage.posix import PosixFolder


@dataclass(frozen=True)
class AttemptDir:
    """runs/EXPERIMENT/ATTEMPT/: written by the job, read by the service."""

    folder: StoredFolder

    def __str__(self) -> str:
        return str(self.folder)

    @property
    def path(self) -> Path:
        """For mmengine and Ray Train, which keep files of their own there."""
        return self.folder.local

    def exists(self) -> bool:
        return self.folder.exists()

    @property
    def spec(self) -> StoredFile:
        return self.folder.file("spec.json")

    @property
    def plan(self) -> StoredFile:
        return self.folder.file("plan.json")

    @property
    def config(self) -> StoredFile:
        """Mmengine's config as it was rendered, for people; the plan has it too."""
        return self.folder.file("config.json")

    @property
    def log(self) -> StoredFile:
        return self.folder.file("log.txt")

    @property
    def notices(self) -> StoredFile:
        """What a person must see of the attempt: see `trainer.storage.notices`."""
        return self.folder.file("notices.jsonl")

    @property
    def reserve(self) -> StoredFile:
        """Room on the disk for the report: see `trainer.storage.reserve`."""
        return self.folder.file(".reserve")

    @property
    def metrics(self) -> StoredFile:
        return self.folder.file("metrics.jsonl")

    @property
    def report(self) -> StoredFile:
        return self.folder.file("report.json")

    @property
    def permit(self) -> StoredFile:
        """The iteration up to which a sweep's scheduler has judged: see `trainer.storage.orders`."""
        return self.folder.file("permit")


def trial_id(sweep: str, number: int) -> str:
    """The experiment's id of a sweep's trial: computed, so that a sweep begun again finds its trials."""
    return f"{sweep}-{number:04d}"


@dataclass(frozen=True)
class SweepDir:
    """sweeps/SWEEP/: written by the sweep's job, read by the service; `pause` by either."""

    folder: StoredFolder

    def __str__(self) -> str:
        return str(self.folder)

    @property
    def spec(self) -> StoredFile:
        return self.folder.file("sweep.json")

    @property
    def trials(self) -> StoredFolder:
        return self.folder.folder("trials")

    def trial(self, number: int) -> StoredFile:
        """{number, row, variant, settings, experiment, spec}: written before the trial starts."""
        return self.trials.file(f"{number:04d}.json")

    def trial_numbers(self) -> list[int]:
        """Of the trials noted so far, in order."""
        names = (Path(name) for name in self.trials.names())
        return sorted(int(name.stem) for name in names if name.suffix == ".json" and name.stem.isdecimal())

    @property
    def table(self) -> StoredFile:
        """The table as JSON, rewritten after every trial."""
        return self.folder.file("table.json")

    @property
    def tables(self) -> dict[str, StoredFile]:
        """The table by the name of its format."""
        suffixes = {"json": "json", "markdown": "md", "csv": "csv", "latex": "tex"}
        return {name: self.folder.file(f"table.{suffix}") for name, suffix in suffixes.items()}

    @property
    def comparison(self) -> StoredFile:
        """The table in the form that MLflow's table view shows."""
        return self.folder.file("comparison.json")

    @property
    def pause(self) -> StoredFile:
        """While this file exists no trial is started; those that run finish."""
        return self.folder.file("pause")

    @property
    def mlflow(self) -> StoredFile:
        """mlflow.json of the parent run."""
        return self.folder.file("mlflow.json")

    def attempt(self, attempt: int) -> AttemptDir:
        return AttemptDir(self.folder.folder(str(attempt)))

    def newest_attempt(self) -> int:
        """The highest number among the sweep's attempts, 0 where there is none."""
        return _newest_attempt(self.folder)


@dataclass(frozen=True)
class TrackDir:
    """runs/EXPERIMENT/track/N/: written by the service, its log by the job that sends."""

    folder: StoredFolder

    @property
    def request(self) -> StoredFile:
        return self.folder.file("request.json")

    @property
    def log(self) -> StoredFile:
        return self.folder.file("log.txt")


@dataclass(frozen=True)
class Storage:
    """The storage root shared by the service and every worker."""

    root: Path

    @classmethod
    def at(cls, root: str | Path) -> Storage:
        """The storage at `root`, made absolute: jobs and workers run in other directories."""
        return cls(Path(root).expanduser().resolve())

    @property
    def folder(self) -> StoredFolder:
        return PosixFolder(self.root)

    def file(self, name: str) -> StoredFile:
        """What a report or plan names, relative to the root."""
        return self.folder.file(name)

    @property
    def frequencies(self) -> StoredFolder:
        return self.folder.folder("frequencies")

    @property
    def pictures(self) -> StoredFolder:
        """What was found when pictures were decoded, by content."""
        return self.folder.folder("pictures")

    @property
    def weights(self) -> StoredFolder:
        """Pretrained weights by name: see `trainer.storage.weights`."""
        return self.folder.folder("weights")

    @property
    def datasets(self) -> StoredFolder:
        return self.folder.folder("datasets")

    @property
    def experiments(self) -> StoredFolder:
        """A folder for each experiment."""
        return self.folder.folder("runs")

    def experiment(self, experiment: str) -> StoredFolder:
        return self.experiments.folder(experiment)

    def attempt(self, experiment: str, attempt: int) -> AttemptDir:
        return AttemptDir(self.experiment(experiment).folder(str(attempt)))

    def checkpoints(self, experiment: str) -> StoredFolder:
        """One folder for all attempts: a later attempt resumes from it."""
        return self.experiment(experiment).folder("checkpoints")

    def final_checkpoint(self, experiment: str) -> str:
        """The name, for `file`, of the weights to deploy."""
        return f"runs/{experiment}/checkpoints/final.pth"

    def mlflow_run(self, experiment: str) -> StoredFile:
        """{"run_id": …, "experiment_id": …}: the MLflow run that all attempts share."""
        return self.experiment(experiment).file("mlflow.json")

    def tracking(self, experiment: str) -> StoredFile:
        """How the last one fared who sent something to MLflow: see `trainer.storage.tracking`."""
        return self.experiment(experiment).file("tracking.json")

    def track_requests(self, experiment: str) -> StoredFolder:
        """N/ for each time that everything was to be sent to MLflow again: see `TrackDir`."""
        return self.experiment(experiment).folder("track")

    def track_request(self, experiment: str, number: int) -> TrackDir:
        return TrackDir(self.track_requests(experiment).folder(str(number)))

    def newest_track_request(self, experiment: str) -> int:
        """The highest number among those requests, 0 where there is none."""
        return _newest_attempt(self.track_requests(experiment))

    def stop(self, experiment: str) -> StoredFile:
        """A file that asks the experiment to end: its training loop looks for it at every record."""
        return self.experiment(experiment).file("stop")

    def detached(self, experiment: str) -> StoredFile:
        """A file that says: no longer its sweep's to run, somebody retried it by itself."""
        return self.experiment(experiment).file("detached")

    def newest_attempt(self, experiment: str) -> int:
        """The highest number among the experiment's attempts, 0 where there is none."""
        return _newest_attempt(self.experiment(experiment))

    def sweep(self, sweep: str) -> SweepDir:
        return SweepDir(self.folder.folder("sweeps").folder(sweep))


def _newest_attempt(folder: StoredFolder) -> int:
    return max((int(name) for name in folder.names() if name.isdecimal()), default=0)


def mlflow_ids(note: StoredFile) -> dict[str, str]:
    """What an mlflow.json names: "run_id" and "experiment_id"; "key" alone while the run is being made."""
    try:
        found = json.loads(note.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}
