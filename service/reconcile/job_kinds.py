"""What differs between kinds of jobs to the one who runs them: paths, command line, report."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from service.reconcile import run_directories
from service.reconcile.decide import JobReport
from service.shared.settings import Settings
from service.store.records import Experiment, Followup, JobRow, Sweep
from sweeps.results.report import SweepReport, read_sweep_report
from trainer.base.errors import ReportError
from trainer.results.followup import FollowupReport
from trainer.results.report import AttemptReport
from trainer.spec.capacity import machines_text
from trainer.storage.directories import AttemptDir
from trainer.storage.layout import mlflow_ids
from trainer.storage.port import StoredFile
from trainer.tracking.mlflow_compat import PARENT_RUN

RowT_contra = TypeVar("RowT_contra", bound=JobRow, contravariant=True)


class Work(Protocol[RowT_contra]):
    """One kind of job."""

    word: str
    own_run: bool  # whether its MLflow run ends with it

    def attempt(self, row: RowT_contra) -> AttemptDir:
        """Where the job of this attempt writes."""

    def log(self, row: RowT_contra) -> str:
        """The name of its log in the storage."""

    def mlflow(self, row: RowT_contra) -> StoredFile:
        """The file that names its MLflow run."""

    def pause(self, row: RowT_contra) -> StoredFile | None:
        """The file by which its job is asked to rest; None of a kind that cannot."""

    def end(self, row: RowT_contra) -> StoredFile | None:
        """The file that says how it ended, see `stopping.ended`; None of a kind that is not adopted."""

    def command(self, row: RowT_contra) -> list[str]:
        """The line that starts this attempt; the same one works by hand."""

    def report(self, row: RowT_contra) -> JobReport | None:
        """The attempt's report, None while there is none.

        Raises:
            ReportError: the file is no report, or another's.
        """

    def progress(self, row: RowT_contra, *, completed: bool) -> dict[str, Any] | None:
        """How far it came, kept with its end."""


class ExperimentWork:
    """`python -m trainer.job`."""

    word = "experiment"
    own_run = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._storage = settings.layout

    def attempt(self, row: Experiment) -> AttemptDir:
        return self._storage.attempt(row.id, row.attempt)

    def log(self, row: Experiment) -> str:
        return self._storage.name_of(self.attempt(row).log)

    def mlflow(self, row: Experiment) -> StoredFile:
        return self._storage.mlflow_run(row.id)

    def pause(self, row: Experiment) -> StoredFile:
        return self._storage.pause(row.id)

    def end(self, row: Experiment) -> StoredFile:
        return self._storage.end(row.id)

    def command(self, row: Experiment) -> list[str]:
        return job_command(self._settings, row)

    def report(self, row: Experiment) -> AttemptReport | None:
        return run_directories.report_of(self._storage, row.id, row.attempt)

    def progress(self, row: Experiment, *, completed: bool) -> dict[str, Any] | None:
        iterations = json.loads(row.spec)["schedule"]["iterations"]
        found = run_directories.progress_of(self._storage, row.id, row.attempt, iterations)
        if found is not None:
            found.pop("expected_end", None)  # of one that goes on
        if not completed:
            return found
        return {"loss": None, **(found or {}), "iteration": iterations, "iterations": iterations}


class SweepWork:
    """`python -m sweeps.job`. Its trials say how far it came."""

    word = "sweep"
    own_run = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._storage = settings.layout

    def attempt(self, row: Sweep) -> AttemptDir:
        return self._storage.sweep(row.id).attempt(row.attempt)

    def log(self, row: Sweep) -> str:
        return self._storage.name_of(self.attempt(row).log)

    def mlflow(self, row: Sweep) -> StoredFile:
        return self._storage.sweep(row.id).mlflow

    def pause(self, row: Sweep) -> None:
        del row

    def end(self, row: Sweep) -> StoredFile:
        return self._storage.sweep(row.id).end

    def command(self, row: Sweep) -> list[str]:
        return sweep_command(self._settings, row)

    def report(self, row: Sweep) -> SweepReport | None:
        report = read_sweep_report(self.attempt(row).report)
        if report is not None and (report.sweep, report.attempt) != (row.id, row.attempt):
            raise ReportError(f"report.json is of sweep {report.sweep}, attempt {report.attempt}")
        return report

    def progress(self, row: Sweep, *, completed: bool) -> None:
        del row, completed


class FollowupWork:
    """`python -m trainer.followup`. What it measures goes into its experiment's run, whose status stays."""

    word = "followup"
    own_run = False

    def __init__(self, settings: Settings, experiment_of: Callable[[str], Experiment]) -> None:
        """`experiment_of`: the row of an experiment that there is."""
        self._settings = settings
        self._storage = settings.layout
        self._experiment_of = experiment_of

    def attempt(self, row: Followup) -> AttemptDir:
        return self._storage.followup(row.experiment_id, row.id).attempt(row.attempt)

    def log(self, row: Followup) -> str:
        return self._storage.name_of(self.attempt(row).log)

    def mlflow(self, row: Followup) -> StoredFile:
        return self._storage.mlflow_run(row.experiment_id)

    def pause(self, row: Followup) -> None:
        del row

    def end(self, row: Followup) -> None:
        del row

    def command(self, row: Followup) -> list[str]:
        return followup_command(self._settings, row, self._experiment_of(row.experiment_id))

    def report(self, row: Followup) -> FollowupReport | None:
        return run_directories.followup_report_of(self._storage, row, row.attempt)

    def progress(self, row: Followup, *, completed: bool) -> None:
        del row, completed


def job_command(settings: Settings, row: Experiment) -> list[str]:
    """The line that starts this attempt at an experiment."""
    spec = settings.layout.attempt(row.id, row.attempt).spec
    names = ["--experiment", row.id, "--attempt", str(row.attempt)]
    for key, value in _mlflow_tags(settings, row).items():
        names.append(f"--mlflow-tag={key}={value}")
    return _command(settings, "trainer.job", spec, names)


def track_command(settings: Settings, row: Experiment | Sweep, number: int) -> list[str]:
    """The line that sends all of an experiment that has ended, or a sweep's own run, to MLflow again."""
    whose = ["trainer.track", "--experiment"] if isinstance(row, Experiment) else ["sweeps.track", "--sweep"]
    command = [settings.job_python, "-m", *whose, row.id]
    command += ["--storage", str(settings.layout.root), "--mlflow-uri", settings.mlflow_uri or ""]
    command += ["--number", str(number), "--status", str(row.mlflow_status_due)]
    tags = _mlflow_tags(settings, row) if isinstance(row, Experiment) else {}
    return command + [f"--mlflow-tag={key}={value}" for key, value in tags.items()]


def _mlflow_tags(settings: Settings, row: Experiment) -> dict[str, str]:
    """Of a trial: what its sweep's driver gives to trials, see `sweeps.driver.mlflow_parent`."""
    if row.sweep_id is None:
        return {}
    tags = {"rebalance.sweep": row.sweep_id, "rebalance.row": row.trial_row or ""}
    parent = mlflow_ids(settings.layout.sweep(row.sweep_id).mlflow).get("run_id")
    return {**tags, PARENT_RUN: parent} if parent else tags


def sweep_command(settings: Settings, row: Sweep) -> list[str]:
    """The line that starts this attempt at a sweep; a later attempt goes on with its trials."""
    spec = settings.layout.sweep(row.id).attempt(row.attempt).spec
    return _command(settings, "sweeps.job", spec, ["--sweep", row.id, "--attempt", str(row.attempt)])


def followup_command(settings: Settings, row: Followup, experiment: Experiment) -> list[str]:
    """The line that starts this attempt at a follow-up of `experiment`."""
    spec = settings.layout.followup(experiment.id, row.id).attempt(row.attempt).spec
    names = ["--experiment", experiment.id, "--followup", row.id, "--attempt", str(row.attempt)]
    for key, value in _mlflow_tags(settings, experiment).items():
        names.append(f"--mlflow-tag={key}={value}")
    return _command(settings, "trainer.followup", spec, names)


def _command(settings: Settings, module: str, spec: StoredFile, names: list[str]) -> list[str]:
    command = [settings.job_python, "-m", module, "--spec", str(spec)]
    command += ["--storage", str(settings.layout.root), *names]
    if settings.mlflow_uri is not None:
        command += ["--mlflow-uri", settings.mlflow_uri]
    if settings.max_cluster is not None:
        command += ["--max-cluster", machines_text(settings.max_cluster)]
    for root in settings.data_roots:
        command += ["--data-root", str(root)]
    return command
