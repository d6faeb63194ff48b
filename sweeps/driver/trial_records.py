"""Trials as files: what a sweep has begun, for its next driver, for the service, and for people."""

from __future__ import annotations

from pydantic import JsonValue

from sweeps.document.expand import Trial
from trainer.base.strict_model import StrictModel
from trainer.results.report import read_whole
from trainer.spec.spec import ExperimentSpec
from trainer.storage.directories import SweepDir


class TrialRecord(StrictModel):
    """trials/NNNN.json, written before the trial starts. `settings`: the value of each axis, by pointer."""

    number: int
    row: str
    variant: str | None
    settings: dict[str, JsonValue]
    experiment: str
    spec: ExperimentSpec

    @property
    def trial(self) -> Trial:
        return Trial(self.number, self.row, self.variant, self.settings, self.spec)


def write_trial(directory: SweepDir, trial: Trial, experiment: str) -> None:
    """Notes a trial; one that is noted already stays as it is."""
    file = directory.trial(trial.number)
    if not file.exists():
        record = TrialRecord(
            number=trial.number,
            row=trial.row,
            variant=trial.variant,
            settings=dict(trial.settings),
            experiment=experiment,
            spec=trial.spec,
        )
        file.write(record.model_dump_json(indent=1) + "\n")


def read_trials(directory: SweepDir) -> tuple[Trial, ...]:
    """The trials noted so far, by number. Raises ReportError: what notes one cannot be read."""
    found = (read_whole(TrialRecord, directory.trial(number)) for number in directory.trial_numbers())
    return tuple(record.trial for record in found if record is not None)
