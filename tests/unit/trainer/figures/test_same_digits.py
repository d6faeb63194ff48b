"""Comparison, sweep's table and report say the same: to the last digit, and in the same letters."""

from __future__ import annotations

from sweeps.results.formats import class_grid, score_grid
from sweeps.results.study_of_sweep import study_of_sweep
from sweeps.results.table import Entry, Row, make_table
from tests.unit.sweeps.driver.stubs import sweep_of
from tests.unit.trainer.figures.studies import BASE, BETTER, RR, report_of
from trainer.figures.rows import classes, remark, seeds
from trainer.figures.rows.row import Missing
from trainer.figures.sources import Source, study_of
from trainer.figures.study import MOST_SETTINGS
from trainer.results.compare import compare
from trainer.results.report import AttemptReport

REPORTS = {
    ("base", 0): report_of("b0", BASE),
    ("base", 1): report_of("b1", BETTER, seed=1),
    ("rr", 0): report_of("r0", BETTER, method=RR),
    ("rr", 1): report_of("r1", [[70, 30, 0], [1, 49, 0], [3, 0, 17]], method=RR, seed=1),
}


def test_a_comparisons_report() -> None:
    """ΔIoU and Remark 1 of each class are those of `compare`, for one seed of each."""
    pair = [REPORTS["base", 0], REPORTS["rr", 0]]
    comparison, study = compare(pair), study_of([Source(report) for report in pair])
    drawn, told = classes.rows(study), remark.rows(study)
    assert not isinstance(drawn, Missing)
    assert not isinstance(told, Missing)
    by_class = {row["class"]: row for row in drawn if row["setting"] == "region_rebalance"}
    remarks = {row["class"]: row for row in told}
    for one in comparison.classes:
        assert by_class[one.name]["iou"] == one.iou[1]
        assert by_class[one.name]["delta_iou"] == one.delta_iou[1]
        theirs = one.remark[1]
        assert theirs is not None
        assert (remarks[one.name]["met"], remarks[one.name]["iou_rose"]) == (theirs.held, theirs.iou_rose)
    assert study.settings[1].delta == comparison.rows[1].delta_mIoU
    grid = study.tables[0].grid
    assert grid.rows[1][3:5] == [f"{comparison.rows[1].mIoU:.2f}", f"{comparison.rows[1].delta_mIoU:+.2f}"]


def test_a_sweeps_report() -> None:
    """Means, ΔIoU, Δ and p are those of the table; its tables are the table's own cells."""
    sweep = sweep_of(variants={"base": {"kind": "baseline"}, "rr": RR})
    table = make_table("s", [Entry(row, seed, report) for (row, seed), report in REPORTS.items()])
    study = study_of_sweep(sweep, "s", table, lambda row: sources_of(row, REPORTS))
    assert study is not None
    block = table.blocks[0]
    drawn, every = classes.rows(study), seeds.rows(study)
    assert not isinstance(drawn, Missing)
    assert not isinstance(every, Missing)
    for place, row in enumerate(block.rows):
        by_class = {one["class"]: one for one in drawn if one["setting"] == row.row}
        for known in block.classes:
            assert by_class[known.name]["iou"] == known.iou[place]
            if place:
                assert by_class[known.name]["delta_iou"] == known.delta_iou[place]
        mine = [one for one in every if one["setting"] == row.row]
        assert [one["value"] for one in mine] == list(row.scores["mIoU"].values)
        assert {one["mean"] for one in mine} == {row.scores["mIoU"].mean}
        assert {(one["delta"], one["p_value"]) for one in mine} == {(row.delta, row.p_value)}
    assert [one.grid for one in study.tables] == [score_grid(table, block), class_grid(table, block)]


def test_a_comparison_over_seeds_has_the_sweeps_numbers() -> None:
    """The same runs, compared by their ids, give the same difference and p."""
    table = make_table("s", [Entry(row, seed, report) for (row, seed), report in REPORTS.items()])
    study = study_of([Source(report) for report in REPORTS.values()])
    ours, theirs = study.settings[1], table.blocks[0].rows[1]
    assert (ours.delta, ours.p_value) == (theirs.delta, theirs.p_value)


def test_very_many_rows_are_not_all_drawn() -> None:
    """The reference and the best are; the notes say how many are left."""
    number = MOST_SETTINGS + 5
    reports = {
        (f"row {place:02}", 0): report_of(f"e{place}", [[50 + place, 50 - place, 0], [10, 40, 0], [5, 5, 10]])
        for place in range(number)
    }
    table = make_table("s", [Entry(row, seed, report) for (row, seed), report in reports.items()])
    study = study_of_sweep(sweep_of(), "s", table, lambda row: sources_of(row, reports))
    assert study is not None
    labels = [setting.label for setting in study.settings]
    assert labels == ["row 00", *(f"row {place:02}" for place in range(6, number))]
    assert study.notes[-1].endswith("5 more are in the table")


def sources_of(row: Row, reports: dict[tuple[str, int], AttemptReport]) -> list[Source]:
    return [Source(report) for (name, _), report in reports.items() if name == row.row]
