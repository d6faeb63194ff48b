"""Tables: means and spreads over seeds, paired differences, and the same numbers in every format."""

from __future__ import annotations

import csv
import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sweeps.formats import FORMATS, to_csv, to_latex, to_markdown
from sweeps.statistics import deviation, mean, paired_p_value
from sweeps.table import Entry, Table, make_table
from tests.data_factories import make_report, scores_of
from trainer.report import RunReport


def report(tp: int) -> RunReport:
    """Two classes; class 0 has IoU tp %, class 1 has 0."""
    return make_report("e", scores=scores_of([[tp, 100 - tp], [0, 0]], pixels=[9, 1]))


def table(**fields: object) -> Table:
    entries = [Entry("base", seed, report(tp)) for seed, tp in ((0, 40), (1, 50), (2, 60))]
    entries += [Entry("rr_x", seed, report(tp)) for seed, tp in ((2, 66), (0, 43))]
    entries += [Entry("rr_x", 1, None), Entry("stopped", 0, report(90), stopped=True)]
    return make_table("t", entries, **fields)  # type: ignore[arg-type]


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_p_value(differences: list[float]) -> None:
    """Equal to SciPy's one-sample t-test of the differences."""
    ours = paired_p_value(differences)
    spread = deviation(differences)
    if ours is not None and spread is not None and spread > 1e-6:
        assert ours == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=1e-9)


def test_p_value_degenerate() -> None:
    """No spread: nothing to judge by, unless there is no difference at all."""
    assert paired_p_value([]) is paired_p_value([1.0]) is paired_p_value([2.0, 2.0]) is None
    assert paired_p_value([0.0, 0.0, 0.0]) == 1.0
    assert mean([]) is deviation([3.0]) is None


def test_rows() -> None:
    """Mean and sample deviation over the seeds that completed; differences over shared seeds only."""
    base, ours, stopped = table().blocks[0].rows
    assert (base.seeds, ours.seeds, stopped.seeds) == ((0, 1, 2), (0, 2), ())
    # mIoU is half of class 0's IoU: class 1 is predicted and never right.
    assert (base.scores["mIoU"].mean, base.scores["mIoU"].std) == (25.0, 5.0)
    assert ours.scores["mIoU"].values == (21.5, 33.0)
    assert (ours.delta, ours.shared_seeds) == (pytest.approx((1.5 + 3.0) / 2), 2)
    assert ours.p_value == pytest.approx(stats.ttest_rel([21.5, 33.0], [20.0, 30.0]).pvalue)
    assert (base.delta, base.p_value) == (None, None)
    assert (ours.unfinished, stopped.unfinished, stopped.stopped) == (1, 0, 1)


def test_notes() -> None:
    """What is missing is said, and that one seed is too few."""
    assert table().notes == (
        "trials without a result, not in the numbers: rr_x 1",
        "trials stopped early by the scheduler, not in the numbers: stopped 1",
    )
    assert make_table("t", [Entry("a", 0, report(50))]).notes == (
        "one seed: differences of a few points can be chance",
    )


def test_classes() -> None:
    """IoU by class is the mean over seeds; a row without results has none."""
    first = table().blocks[0].classes[0]
    assert first.iou == (50.0, 54.5, None)
    assert first.delta_iou == (0.0, 4.5, None)


def test_another_reference() -> None:
    """Differences change their sign with the reference."""
    base, ours, _ = table(reference="rr_x").blocks[0].rows
    assert (base.delta, ours.delta) == (pytest.approx(-2.25), None)


@given(st.randoms())
def test_order_of_trials_does_not_matter(shuffle: random.Random) -> None:
    """Trials end in any order; a row's numbers are the same."""
    entries = [Entry("a", seed, report(40 + seed)) for seed in range(4)]
    expected = make_table("t", entries)
    shuffle.shuffle(entries)
    assert make_table("t", entries) == expected


def test_nothing_finished_yet() -> None:
    """A table can be asked for before any trial has ended."""
    early = make_table("t", [Entry("a", 0, None)])
    assert early.blocks[0].rows[0].scores["mIoU"].mean is None
    for render in FORMATS.values():
        assert "a" in render(early)


def test_markdown() -> None:
    """One line a row, the reference named, empty cells where there is no number."""
    text = to_markdown(table(published={"base": 43.95}))
    assert (
        "| base | 25.00 ± 5.00 | 50.00 ± 10.00 | 50.00 ± 10.00 | 0.00 ± 0.00 |  |  |  | 3 | 43.95 |" in text
    )
    assert "against `base`" in text
    assert "| stopped |  |  |  |  |  |  |  | 0 |  |" in text


def test_csv() -> None:
    """CSV keeps every digit and reads back."""
    rows = list(csv.DictReader(io.StringIO(to_csv(table()))))
    assert [row["row"] for row in rows] == ["base", "rr_x", "stopped"]
    assert (float(rows[0]["mIoU"]), float(rows[0]["mIoU_std"])) == (25.0, 5.0)
    assert rows[1]["seeds"] == "0 2"


def test_latex() -> None:
    """Booktabs rules, special characters escaped, as many columns as titles."""
    text = to_latex(table())
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert r"rr\_x & $27.25 \pm 8.13$" in text
    (begin,) = [line for line in text.splitlines() if line.startswith(r"\begin")]
    titles = next(line for line in text.splitlines() if "mIoU" in line and "&" in line)
    assert begin.count("r", len(r"\begin{tabular}")) == titles.count("&")
