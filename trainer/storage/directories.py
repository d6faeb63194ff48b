"""The folders in shared storage that have one attempt, sweep, request or follow-up, and what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trainer.storage.port import StoredFile, StoredFolder


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
    def put_off(self) -> StoredFile:
        """Written by the service before it stops a job for a pause that has no record to rest at."""
        return self.folder.file("put_off")

    @property
    def host(self) -> StoredFile:
        """The name of the machine that rank 0 trains on."""
        return self.folder.file("host.txt")

    @property
    def notices(self) -> StoredFile:
        """What a person must see of the attempt: see `trainer.storage.notices`."""
        return self.folder.file("notices.jsonl")

    @property
    def waiting(self) -> StoredFile:
        """Why it does not go on, while that is so: see `trainer.storage.waiting`."""
        return self.folder.file("waiting.json")

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
    def confusion(self) -> StoredFile:
        """Confusion matrices and the scores of each picture: see `trainer.results.confusion_file`."""
        return self.folder.file("confusion.npz")

    @property
    def shown(self) -> StoredFile:
        """Labels of a few pictures, the same in every run: see `trainer.results.shown_file`."""
        return self.folder.file("pictures.npz")

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
    def page(self) -> StoredFile:
        """The report as one HTML file, written when the sweep's job has come to its end."""
        return self.folder.file("report.html")

    @property
    def figures(self) -> StoredFolder:
        """Each of its figures as SVG, PNG and CSV."""
        return self.folder.folder("figures")

    @property
    def pause(self) -> StoredFile:
        """While this file exists no trial is started; those that run finish."""
        return self.folder.file("pause")

    @property
    def mlflow(self) -> StoredFile:
        """mlflow.json of the parent run."""
        return self.folder.file("mlflow.json")

    @property
    def tracked(self) -> TrackedDir:
        return TrackedDir(self.folder)

    @property
    def end(self) -> StoredFile:
        """How it ended, where no report says so; the service's own note."""
        return self.folder.file("end.json")

    def attempt(self, attempt: int) -> AttemptDir:
        return AttemptDir(self.folder.folder(str(attempt)))

    def newest_attempt(self) -> int:
        """The highest number among the sweep's attempts, 0 where there is none."""
        return newest_number(self.folder)


@dataclass(frozen=True)
class TrackedDir:
    """runs/EXPERIMENT/ or sweeps/SWEEP/, as far as it is about the copy in MLflow."""

    folder: StoredFolder

    @property
    def record(self) -> StoredFile:
        """How the last one to send something fared: see `trainer.storage.tracking`."""
        return self.folder.file("tracking.json")

    @property
    def requests(self) -> StoredFolder:
        """N/ for each time that everything was to be sent again: see `TrackDir`."""
        return self.folder.folder("track")

    def request(self, number: int) -> TrackDir:
        return TrackDir(self.requests.folder(str(number)))

    def newest_request(self) -> int:
        """The highest number among those requests, 0 where there is none."""
        return newest_number(self.requests)


@dataclass(frozen=True)
class TrackDir:
    """…/track/N/: written by the service, its log by the job that sends."""

    folder: StoredFolder

    @property
    def request(self) -> StoredFile:
        return self.folder.file("request.json")

    @property
    def log(self) -> StoredFile:
        return self.folder.file("log.txt")


@dataclass(frozen=True)
class FollowupDir:
    """runs/EXPERIMENT/followups/ID/: a folder for each attempt, and beside them what came out."""

    folder: StoredFolder

    def attempt(self, attempt: int) -> AttemptDir:
        return AttemptDir(self.folder.folder(str(attempt)))

    def newest_attempt(self) -> int:
        """The highest number among the follow-up's attempts, 0 where there is none."""
        return newest_number(self.folder)

    @property
    def picture(self) -> StoredFile:
        """The picture to be labelled, as it was sent."""
        return self.folder.file("picture")

    @property
    def labels(self) -> StoredFile:
        """The picture's labels: a PNG of class ids."""
        return self.folder.file("labels.png")

    @property
    def overlay(self) -> StoredFile:
        return self.folder.file("overlay.png")

    @property
    def legend(self) -> StoredFile:
        return self.folder.file("legend.png")

    @property
    def confusion(self) -> StoredFile:
        return self.folder.file("confusion.npz")

    @property
    def pictures(self) -> StoredFolder:
        """Where two experiments disagree: pictures with their labels and truth, and pictures.json."""
        return self.folder.folder("pictures")

    @property
    def export(self) -> StoredFolder:
        """What was taken away, by format."""
        return self.folder.folder("export")


def newest_number(folder: StoredFolder) -> int:
    """The highest number that something in the folder is named by, 0 where there is none."""
    return max((int(name) for name in folder.names() if name.isdecimal()), default=0)
