"""Who is compared with whom in a sweep, and when it is known: as in its table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweeps.document.expand import expand
from sweeps.document.spec import SweepSpec, parse_sweep
from sweeps.driver.gains import Gains
from sweeps.results.table_of_sweep import entry_of, sweep_table
from tests.data_factories import make_report, scores_of, spec_document
from trainer.results.report import AttemptReport, write_report
from trainer.storage.directories import trial_id
from trainer.storage.layout import Storage
from trainer.storage.reference import read_reference
from trainer.tracking.content.deltas import deltas_of


def sweep_of(**changes: Any) -> SweepSpec:
    axis = {"pointer": "/schedule/learning_rate", "grid": [0.1, 0.2, 0.3]}
    return parse_sweep({"name": "s", "base": spec_document(), "axes": [axis], "seeds": [0, 1], **changes})


def report_of(number: int, right: int) -> AttemptReport:
    return make_report(trial_id("s", number), scores=scores_of([[right, 20 - right], [1, 9]]))


def test_each_is_given_out_once_its_partner_has_ended(tmp_path: Path) -> None:
    """Whichever of the two ends last; the reference's own trials and failed ones are not."""
    sweep, storage = sweep_of(), Storage.at(tmp_path)
    trials, reports = expand(sweep), dict[int, AttemptReport | None]()
    gains = Gains(sweep, "s", storage, ())
    for trial in trials:
        gains.begun(trial)
    noted = {trial.number: read_reference(storage.reference(trial_id("s", trial.number))) for trial in trials}
    assert noted == {0: None, 1: "s-0000", 2: "s-0000", 3: None, 4: "s-0003", 5: "s-0003"}
    reports[1] = report_of(1, 12)
    assert not list(gains.due(reports))
    reports[0] = report_of(0, 10)
    assert [each.experiment for each in gains.due(reports)] == ["s-0001"]
    reports[2], reports[3] = report_of(2, 13), report_of(3, 14)
    assert [each.experiment for each in gains.due(reports)] == ["s-0002"]
    assert not list(gains.due(reports))
    later = Gains(sweep, "s", storage, trials)
    assert {each.experiment for each in later.due(reports)} == {"s-0001", "s-0002"}


@pytest.mark.parametrize(
    "axis",
    [
        {"pointer": "/schedule/learning_rate", "grid": [0.3, 0.1, 0.2]},
        {"pointer": "/schedule/iterations", "grid": [20, 10]},
    ],
)
def test_their_mean_is_the_delta_of_the_table(tmp_path: Path, axis: dict[str, Any]) -> None:
    """One rule for both."""
    sweep, storage = sweep_of(axes=[axis]), Storage.at(tmp_path)
    trials = expand(sweep)
    gains = Gains(sweep, "s", storage, ())
    reports = {}
    for trial in trials:
        gains.begun(trial)
        reports[trial.number] = report_of(trial.number, 10 + trial.number)
        write_report(reports[trial.number], storage.attempt(trial_id("s", trial.number), 1).report)
    entries = [entry_of(trial.row, trial.spec.seed, reports[trial.number]) for trial in trials]
    [block] = sweep_table(sweep, entries).blocks
    for row in block.rows:
        found = []
        for trial in trials:
            result = reports[trial.number].result
            assert result is not None
            if trial.row == row.row:
                found += [deltas_of(storage, trial_id("s", trial.number), result).get("delta_mIoU")]
        known = [value for value in found if value is not None]
        assert (sum(known) / len(known) if known else None) == pytest.approx(row.delta)
