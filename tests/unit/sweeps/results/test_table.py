"""Tables: means and spreads over seeds, paired differences, and what is not compared."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sweeps.results.table import Entry, Table, make_table
from tests.data_factories import make_report, scores_of
from trainer.results.report import AttemptReport


def report(tp: int) -> AttemptReport:
    """Two classes; class 0 has IoU tp %, class 1 has 0."""
    return make_report("e", scores=scores_of([[tp, 100 - tp], [0, 0]], pixels=[9, 1]))


def table(**fields: object) -> Table:
    entries = [Entry("base", seed, report(tp)) for seed, tp in ((0, 40), (1, 50), (2, 60))]
    entries += [Entry("rr_x", seed, report(tp)) for seed, tp in ((2, 66), (0, 43))]
    entries += [Entry("rr_x", 1, None), Entry("stopped", 0, report(90), stopped=True)]
    return make_table("t", entries, **fields)  # type: ignore[arg-type]


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
        "p rests on as few as 2 shared seeds: a hint, no more",
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
    assert early.blocks[0].classes == ()


def test_a_seed_that_comes_again() -> None:
    """Counts once, with its first result; a trial with a result is never told as missing."""
    again = make_table("t", [Entry("a", 0, report(40)), Entry("a", 0, report(50)), Entry("a", 0, None)])
    (row,) = again.blocks[0].rows
    assert (row.seeds, row.scores["mIoU"].mean, row.unfinished) == ((0,), 20.0, 1)
    assert "repeats of a seed in its row, not in the numbers: a 1" in again.notes
    late = make_table("t", [Entry("a", 0, report(40)), Entry("a", 0, None)]).blocks[0].rows[0]
    assert (late.seeds, late.unfinished) == ((0,), 1)


def on(matrix: list[list[int]], **about: Any) -> list[AttemptReport]:
    """Two reports of other scores on the same labels."""
    worse = [[row[0] - 1, row[1] + 1, *row[2:]] for row in matrix]
    return [make_report("e", scores=scores_of(each, **about)) for each in (matrix, worse)]


def two_rows(first: list[AttemptReport], second: list[AttemptReport], **fields: Any) -> Table:
    """Rows `a` and `b`, seeds from 0."""
    rows = (("a", first), ("b", second))
    entries = [Entry(row, seed, one) for row, reports in rows for seed, one in enumerate(reports)]
    return make_table("t", entries, **fields)


TWO = [[60, 40], [10, 90]]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (on([[50, 10, 10], [0, 20, 5], [0, 5, 100]]), "3 instead of 2"),
        (on(TWO, names=["sky", "road"]), "class 0 is 'sky', not 'class 0'"),
    ],
    ids=["another number", "other names"],
)
@pytest.mark.parametrize("metric", ["mIoU", "tail_mIoU"])
def test_rows_of_other_classes(other: list[AttemptReport], why: str, metric: str) -> None:
    """No class rows, no difference, no p-value, and a note for each of these."""
    made = two_rows(on(TWO), other, metric=metric)
    block = made.blocks[0]
    assert block.classes == ()
    assert (block.rows[1].delta, block.rows[1].p_value, block.rows[1].shared_seeds) == (None, None, 0)
    assert block.rows[1].scores["mIoU"].mean is not None
    assert f"scored on other labels than a, so without Δ and p: b (other classes: {why})" in made.notes
    assert "rows differ in their classes, so none are listed" in made.notes
    assert not any(note.startswith("head, body and tail") for note in made.notes)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (on([[60, 41], [10, 90]]), "101 pixels of 'class 0' instead of 100"),
        (on(TWO, images=11), "11 pictures instead of 10"),
    ],
    ids=["pixels", "pictures"],
)
def test_rows_of_another_split(other: list[AttemptReport], why: str) -> None:
    """The same classes with other labels, as of another split: IoU side by side, nothing subtracted."""
    made = two_rows(on(TWO), other)
    assert (made.blocks[0].rows[1].delta, made.blocks[0].rows[1].shared_seeds) == (None, 0)
    first = made.blocks[0].classes[0]
    assert None not in first.iou
    assert (first.delta_iou[0], first.delta_iou[1]) == (0.0, None)
    assert made.notes[0] == f"scored on other labels than a, so without Δ and p: b ({why})"


def test_data_that_changed_within_a_row() -> None:
    """A mean over trials of different labels is compared with nothing, on whichever side it stands."""
    plain, mixed = on(TWO), [on(TWO)[0], on(TWO, images=11)[1]]
    made = two_rows(plain, mixed)
    assert (made.blocks[0].rows[1].delta, made.blocks[0].classes[0].delta_iou[1]) == (None, None)
    assert made.notes[0].endswith("b (11 pictures instead of 10)")
    made = two_rows(mixed, plain)
    assert (made.blocks[0].rows[1].delta, made.blocks[0].classes[0].delta_iou[1]) == (None, None)
    assert "b (the reference's own trials differ in their labels)" in made.notes[0]


def test_rows_trained_on_other_data() -> None:
    """What was trained on may differ: only differences of head, body and tail need the same groups."""
    other = on(TWO, pixels=[1, 1000])
    made = two_rows(on(TWO), other)
    assert made.blocks[0].rows[1].delta == 0
    assert made.blocks[0].classes[0].delta_iou == (0, 0)
    assert made.notes[0] == "head, body and tail are other classes than for a: b"
    grouped = two_rows(on(TWO), other, metric="head_mIoU")
    assert grouped.blocks[0].rows[1].delta is None
    assert grouped.notes[0] == "head, body and tail are other classes than for a, so without Δ and p: b"


def test_a_p_value_of_few_seeds_is_said() -> None:
    """Up to four shared seeds."""
    for seeds, told in ((2, True), (4, True), (5, False)):
        made = two_rows(
            [report(40 + k) for k in range(seeds)], [report(50 + 3 * k * k) for k in range(seeds)]
        )
        assert made.blocks[0].rows[1].p_value is not None
        assert (f"p rests on as few as {seeds} shared seeds: a hint, no more" in made.notes) == told


def test_notes_stay_short() -> None:
    """The first rows by name, the others by number."""
    made = make_table("t", [Entry(f"r{row}", 0, None) for row in range(1000)])
    assert made.notes[0].endswith("r6 1, r7 1 and 992 more rows")


def test_work_grows_with_the_trials() -> None:
    """Not with their square: names are compared a few times for each trial, whatever their number."""

    class Name(str):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Name.compared += 1
            return super().__eq__(other)

        __hash__ = str.__hash__

    number = 300
    scores = report(40)
    entries = [Entry(Name(f"r{row}"), 0, scores) for row in range(number)]
    make_table("t", entries, published={"single_scale": {"r1": 1.0}})
    assert Name.compared < 5 * number


@pytest.mark.parametrize("entries", [[], [Entry("a", 0, None), Entry("b", 0, None)]], ids=["none", "queued"])
def test_before_any_result(entries: list[Entry]) -> None:
    """Trials that a search has yet to draw and those that wait are told alike; nothing is said of chance."""
    made = make_table("t", entries)
    assert made.notes[-1] == "no trial has a result"
    assert not any("chance" in note for note in made.notes)
    assert [row.row for row in made.blocks[0].rows] == [entry.row for entry in entries]
