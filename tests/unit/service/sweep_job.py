"""What a sweep's job would write, written by the test: trials begun, run, ended, and the sweep's report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from service.store.records import Sweep
from sweeps.document.expand import Trial, expand
from sweeps.document.spec import SweepSpec, parse_sweep
from sweeps.results.report import SweepReport, write_sweep_report
from tests.data_factories import make_report, scores_of, spec_document
from trainer.base.errors import StoppedEarly
from trainer.results.report import AttemptError, AttemptReport, write_report
from trainer.spec.spec import canonical_json
from trainer.storage.directories import trial_id
from trainer.storage.layout import Storage


def sweep_document(**changes: Any) -> dict[str, Any]:
    """λ 0 and 0.3, seeds 0 and 1: four trials."""
    base = spec_document(method={"kind": "region_rebalance"})
    axes = [{"pointer": "/method/lambda", "grid": [0, 0.3]}]
    return {"name": "lambda", "base": base, "axes": axes, "seeds": [0, 1], **changes}


def optuna_document(**changes: Any) -> dict[str, Any]:
    """Three draws of λ by optuna."""
    axes = [{"pointer": "/method/lambda", "uniform": [0, 1]}]
    search = {"search": "optuna", "limits": {"trials": 3}, "seeds": [0]}
    return sweep_document(axes=axes, **search, **changes)


@dataclass
class SweepJob:
    """One sweep's directories, as `python -m sweeps.job` leaves them."""

    storage: Storage
    sweep: str
    spec: SweepSpec

    @classmethod
    def of(cls, storage: Storage, row: Sweep) -> SweepJob:
        return cls(storage, row.id, parse_sweep(json.loads(row.spec)))

    def id(self, number: int) -> str:
        return trial_id(self.sweep, number)

    def trial(self, number: int) -> Trial:
        return expand(self.spec)[number]

    def begin(self, number: int, attempt: int = 1, *, iteration: int | None = 1) -> None:
        """A trial's files up to its first training record; None: it waits for room."""
        trial = self.trial(number)
        record = {"number": number, "row": trial.row, "variant": trial.variant}
        record |= {"settings": dict(trial.settings), "experiment": self.id(number)}
        document = {**record, "spec": trial.spec.model_dump(mode="json")}
        self.storage.sweep(self.sweep).trial(number).write(json.dumps(document))
        here = self.storage.attempt(self.id(number), attempt)
        here.spec.write(canonical_json(trial.spec))
        if iteration is not None:
            line = {"kind": "train", "iteration": iteration, "loss": 0.5, "time": 0.0}
            here.metrics.write(json.dumps(line) + "\n")

    def complete(self, number: int, attempt: int = 1, *, tp: int = 50) -> None:
        """A trial with a result; class 0 has IoU `tp` %."""
        scores = scores_of([[tp, 100 - tp], [0, 100]])
        result = make_report(scores=scores).result
        self._leave(number, attempt, state="completed", result=result)

    def fail(
        self, number: int, attempt: int = 1, *, kind: str = "DataError", retryable: bool = False
    ) -> None:
        error = AttemptError(type=kind, message="label 77", retryable=retryable)
        self._leave(number, attempt, state="failed", error=error)

    def cancel(self, number: int, attempt: int = 1) -> None:
        error = AttemptError(type="Cancelled", message="cancel was asked")
        self._leave(number, attempt, state="cancelled", error=error)

    def stop_early(self, number: int, attempt: int = 1) -> None:
        error = AttemptError(type=StoppedEarly.__name__, message="rung 1")
        self._leave(number, attempt, state="cancelled", error=error)

    def end(self, state: str = "completed", attempt: int = 1, *, limit: str | None = None) -> None:
        """The sweep's report."""
        report = SweepReport.model_validate(
            {
                "sweep": self.sweep,
                "attempt": attempt,
                "state": state,
                "spec": self.spec,
                "limit": limit,
                "started_at": "2026-01-02T03:04:05+00:00",
                "ended_at": "2026-01-02T04:04:05+00:00",
            }
        )
        write_sweep_report(report, self.storage.sweep(self.sweep).attempt(attempt).report)

    def _leave(self, number: int, attempt: int, **changes: Any) -> None:
        if not self.storage.attempt(self.id(number), attempt).spec.exists():
            self.begin(number, attempt)
        fields = {"experiment": self.id(number), "attempt": attempt, "spec": self.trial(number).spec}
        report = make_report().model_copy(update={"result": None, **fields, **changes})
        write_report(AttemptReport.model_validate(report.model_dump()), self._report(number, attempt))

    def _report(self, number: int, attempt: int) -> Any:
        return self.storage.attempt(self.id(number), attempt).report
