"""Where everything lies in shared storage. With `directories.py` the one place that spells these paths."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from trainer.storage.directories import AttemptDir, FollowupDir, SweepDir, TrackedDir, newest_number
from trainer.storage.port import StoredFile, StoredFolder
from trainer.storage.posix import PosixFolder


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

    def name_of(self, place: StoredFile | StoredFolder) -> str:
        """What `file` was given for one that lies in this storage; of a folder the same."""
        return str(place.local.relative_to(self.root))

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

    def best_checkpoint(self, experiment: str) -> str:
        """The name, for `file`, of the weights that scored best in training, as those to deploy."""
        return f"runs/{experiment}/checkpoints/best.pth"

    def followups(self, experiment: str) -> StoredFolder:
        return self.experiment(experiment).folder("followups")

    def followup(self, experiment: str, followup: str) -> FollowupDir:
        return FollowupDir(self.followups(experiment).folder(followup))

    def mlflow_run(self, experiment: str) -> StoredFile:
        """{"run_id": …, "experiment_id": …}: the MLflow run that all attempts share."""
        return self.experiment(experiment).file("mlflow.json")

    def reference(self, experiment: str) -> StoredFile:
        """Of a trial, which one its scores are compared with: see `trainer.storage.reference`."""
        return self.experiment(experiment).file("reference.json")

    def tracked(self, experiment: str) -> TrackedDir:
        return TrackedDir(self.experiment(experiment))

    @property
    def waiting(self) -> StoredFile:
        """Why the service hands nothing to the cluster, while that is so: see `trainer.storage.waiting`."""
        return self.folder.file("waiting.json")

    def stop(self, experiment: str) -> StoredFile:
        """A file that asks the experiment to end: its training loop looks for it at every record."""
        return self.experiment(experiment).file("stop")

    def pause(self, experiment: str) -> StoredFile:
        """A file that asks its training to write a checkpoint at its next record and end there for now."""
        return self.experiment(experiment).file("pause")

    def detached(self, experiment: str) -> StoredFile:
        """A file that says: no longer its sweep's to run, somebody retried it by itself."""
        return self.experiment(experiment).file("detached")

    def end(self, experiment: str) -> StoredFile:
        """How it ended, or that it rests, where no report says so; the service's own note."""
        return self.experiment(experiment).file("end.json")

    def newest_attempt(self, experiment: str) -> int:
        """The highest number among the experiment's attempts, 0 where there is none."""
        return newest_number(self.experiment(experiment))

    def sweep(self, sweep: str) -> SweepDir:
        return SweepDir(self.folder.folder("sweeps").folder(sweep))


def mlflow_ids(note: StoredFile) -> dict[str, str]:
    """What an mlflow.json names: "run_id" and "experiment_id"; "key" alone while the run is being made."""
    try:
        found = json.loads(note.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}
