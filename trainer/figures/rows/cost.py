"""What every run has cost, and what it scored."""

from __future__ import annotations

from trainer.figures.rows.row import Missing, Rows
from trainer.figures.study import Study


def rows(study: Study) -> Rows:
    """A row for each run that has the metric. Seconds of the last attempt: training and evaluation."""
    found: Rows = [
        {
            "setting": setting.label,
            "experiment": run.experiment,
            "seed": run.seed,
            "seconds": run.seconds,
            "workers": run.report.spec.resources.workers,
            "gpus": run.report.spec.resources.workers * run.report.spec.resources.gpus_per_worker,
            "parameters": run.report.result.parameters if run.report.result else None,
            "value": run.scores.headline[study.metric],
        }
        for setting, run in study.runs
        if run.scores.headline[study.metric] is not None
    ]
    return found or Missing(f"a run whose {study.metric} is defined")
