"""What each trial gains over its sweep's reference: who is compared with whom, and which of it is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sweeps.document.expand import Trial
from sweeps.document.spec import SweepSpec
from sweeps.results.table_of_sweep import references_of
from trainer.results.report import AttemptReport
from trainer.storage.directories import trial_id
from trainer.storage.layout import Storage
from trainer.storage.reference import write_reference

Reports = Mapping[int, AttemptReport | None]


class Gains:
    """Of the trials of one sweep, each against the reference's trial of its own seed, as in the table.

    Each is given out once by each driver; its own job may have told MLflow already.
    """

    def __init__(self, sweep: SweepSpec, identifier: str, storage: Storage, known: Iterable[Trial]) -> None:
        """`known`: trials of which no job will begin, or which will be said to have begun."""
        self._id, self._storage = identifier, storage
        self._references = references_of(sweep)
        self._first: Trial | None = None
        self._numbers: dict[tuple[str, int], int] = {}  # the first trial of a row and seed
        self._rows: dict[int, tuple[str, int]] = {}
        self._given: set[int] = set()
        for trial in known:
            self._add(trial)

    def begun(self, trial: Trial) -> None:
        """Notes in storage whom a trial is compared with, for its job, and for who sends it again."""
        self._add(trial)
        self._note(trial.number)

    def due(self, reports: Reports) -> Iterator[AttemptReport]:
        """Of trials that have results as their partners have, and were not given out before."""
        for number in self._rows.keys() - self._given:
            report, partner = reports.get(number), self._partner(number)
            other = None if partner is None else reports.get(partner)
            if report is None or report.result is None or other is None or other.result is None:
                continue
            self._given.add(number)
            self._note(number)  # an earlier release has not
            yield report

    def _add(self, trial: Trial) -> None:
        row = trial.row, trial.spec.seed
        self._rows[trial.number] = row
        self._numbers[row] = min(trial.number, self._numbers.get(row, trial.number))
        if self._first is None or trial.number < self._first.number:
            self._first = trial

    def _partner(self, number: int) -> int | None:
        """None of the reference's own trials, and where it has none of that seed."""
        row, seed = self._rows[number]
        assert self._first is not None
        reference = (self._references or {}).get(row, self._first.row)
        return None if reference == row else self._numbers.get((reference, seed))

    def _note(self, number: int) -> None:
        partner = self._partner(number)
        if partner is not None:
            file = self._storage.reference(trial_id(self._id, number))
            write_reference(file, trial_id(self._id, partner))
