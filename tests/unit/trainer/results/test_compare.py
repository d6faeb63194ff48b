"""The comparison table: differences to the first, and honest notes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data_factories import make_report, make_spec, scores_of
from trainer.base.errors import ComparisonError
from trainer.results.comparability import difference
from trainer.results.compare import Comparison, compare
from trainer.results.report import AttemptError, AttemptReport, Scores

BASE = scores_of([[8, 2, 0], [1, 5, 0], [1, 1, 2]])
BETTER = scores_of([[8, 2, 0], [1, 5, 0], [0, 0, 4]])
ABSENT = scores_of([[8, 2, 0], [1, 5, 0], [0, 0, 0]])


def test_table_by_hand() -> None:
    """Rows in the order given, ΔmIoU and ΔIoU against the first, seconds of training and evaluation."""
    table = compare(
        [
            make_report("a", scores=BASE, seconds=50),
            make_report("b", scores=BETTER, seconds=60, method={"kind": "region_rebalance", "lambda": 0.1}),
        ]
    )
    assert [row.experiment for row in table.rows] == ["a", "b"]
    assert [row.method for row in table.rows] == ["baseline", "region_rebalance (lambda=0.1)"]
    assert [row.seconds for row in table.rows] == [50, 60]
    assert table.rows[0].delta_mIoU == 0
    assert BASE.mIoU is not None
    assert BETTER.mIoU is not None
    assert table.rows[1].delta_mIoU == BETTER.mIoU - BASE.mIoU
    tail = table.classes[2]
    assert (tail.group, tail.iou, tail.delta_iou) == ("tail", (50.0, 100.0), (0.0, 50.0))
    assert tail.pixel_frequency == 998


def test_undefined_scores_stay_undefined() -> None:
    """Where a class has no IoU in one experiment, it has none there and no difference."""
    spurious = scores_of([[7, 2, 1], [1, 5, 0], [0, 0, 0]])
    table = compare([make_report("a", scores=ABSENT), make_report("b", scores=spurious)])
    assert table.classes[2].iou == (None, 0.0)
    assert table.classes[2].delta_iou == (None, None)
    assert table.rows[0].tail_mIoU is None


def test_nothing_is_subtracted_across_labels() -> None:
    """Scores stand side by side; no difference in any table, and a note that says why."""
    table = compare([make_report("a", scores=BASE), make_report("b", scores=ABSENT)])
    assert (table.rows[0].delta_mIoU, table.rows[1].delta_mIoU) == (0, None)
    assert table.rows[1].mIoU == ABSENT.mIoU is not None
    assert [one.delta_iou for one in table.classes] == [(0.0, None)] * 3
    told = "scored on other labels than the first, so without Δ and Remark 1: b"
    assert f"{told} (0 pixels of 'class 2' instead of 4)" in table.notes


def test_remark_1_in_the_table() -> None:
    """Each class has Remark 1 against the first experiment, each row its counts; the first has neither."""
    table = compare([make_report("a", scores=BASE), make_report("b", scores=BETTER)])
    assert table.rows[0].remark is None
    assert [one.remark[0] for one in table.classes] == [None] * 3
    summary = table.rows[1].remark
    assert summary is not None
    assert (summary.classes, summary.acc_rose, summary.held, summary.iou_rose) == (3, 1, 1, 3)
    (tail,) = [one for one in table.classes[2].remark if one is not None]
    assert (tail.gain, tail.false_positives, tail.allowance) == (1.0, 0.0, 4.0)
    assert (tail.held, tail.iou_rose, tail.acc_rose) == (True, True, True)
    assert table.rows[0].pearson_pixel == BASE.pearson_pixel is not None
    assert table.rows[1].pearson_region == BETTER.pearson_region is not None


def test_remark_1_needs_the_same_labels() -> None:
    """A class of another size costs all of them their remark: false positives come from every pixel."""
    table = compare([make_report("a", scores=BASE), make_report("b", scores=ABSENT)])
    assert [one.remark[1] for one in table.classes] == [None] * 3
    assert table.rows[1].remark is None


@given(st.floats(0, 100) | st.none(), st.floats(0, 100) | st.none())
def test_difference(value: float | None, reference: float | None) -> None:
    """A difference is defined where both are, and is antisymmetric."""
    one, other = difference(value, reference), difference(reference, value)
    if value is None or reference is None:
        assert one is other is None
    else:
        assert one == -other  # type: ignore[operator]


@given(st.permutations([0, 1, 2]))
def test_permuting_classes_permutes_the_table(order: list[int]) -> None:
    """The class table follows the class order; the rows do not change."""
    matrix, pixels, names = [[8, 2, 0], [1, 5, 0], [1, 1, 2]], [900, 70, 5], ["x", "y", "z"]
    plain = compare([make_report(scores=scores_of(matrix, pixels=pixels, names=names))])
    moved_matrix = [[matrix[a][b] for b in order] for a in order]
    moved = compare(
        [
            make_report(
                scores=scores_of(
                    moved_matrix, pixels=[pixels[k] for k in order], names=[names[k] for k in order]
                )
            )
        ]
    )
    assert [one.iou for one in moved.classes] == [plain.classes[k].iou for k in order]
    assert [one.group for one in moved.classes] == [plain.classes[k].group for k in order]
    assert moved.rows[0].mIoU == pytest.approx(plain.rows[0].mIoU)
    assert moved.rows[0].tail_mIoU == plain.rows[0].tail_mIoU


def test_json_round_trip() -> None:
    """A comparison survives JSON."""
    table = compare([make_report("a"), make_report("b", seed=1)])
    assert Comparison.model_validate_json(table.model_dump_json()) == table
    assert json.loads(table.model_dump_json())["rows"][0]["delta_mIoU"] == 0


def test_other_classes_are_refused() -> None:
    """Other names, another order or number of classes cannot stand in one table; the class is named."""
    first = make_report("a", scores=BASE)
    renamed = make_report("b", scores=scores_of([[1, 0], [0, 1]], names=["class 0", "sky"]))
    with pytest.raises(ComparisonError, match="b has other classes than a: 2 instead of 3"):
        compare([first, renamed])
    swapped = scores_of([[8, 2, 0], [1, 5, 0], [1, 1, 2]], names=["class 1", "class 0", "class 2"])
    with pytest.raises(ComparisonError, match="class 0 is 'class 1', not 'class 0'"):
        compare([first, make_report("b", scores=swapped)])


def test_no_result_is_refused() -> None:
    """An experiment that failed has no row: the error says which and why."""
    failed = AttemptReport(
        experiment="e9",
        attempt=1,
        state="failed",
        spec=make_spec(),
        error=AttemptError(type="NonFiniteLoss", message="loss is nan"),
        started_at="2026-01-02T03:04:05+00:00",
        ended_at="2026-01-02T03:05:05+00:00",
    )
    with pytest.raises(
        ComparisonError, match="e9 has no result, it ended failed: NonFiniteLoss: loss is nan"
    ):
        compare([make_report(), failed])
    with pytest.raises(ComparisonError, match="no experiment"):
        compare([])


def notes(*reports: AttemptReport) -> str:
    return "\n".join(compare(reports).notes)


def test_fair_comparison_says_only_its_seeds() -> None:
    """Where only method and seed differ, the one note is how many seeds there are."""
    assert notes(make_report("a"), make_report("b", method="dice")).startswith("one seed for each method")
    text = notes(make_report("a"), make_report("b", seed=1), make_report("c", method="dice"))
    assert text == "seeds: baseline 2, dice 1"


def test_unfair_comparisons_say_so() -> None:
    """Other schedules, data, workers, labels or frequencies are each noted, with the experiments."""
    first = make_report("a", scores=BASE)
    assert "another schedule than the first: b" in notes(first, make_report("b", schedule={"iterations": 5}))
    assert "another data set" in notes(first, make_report("b", dataset={"name": "digit_scenes", "seed": 1}))
    assert "number of workers" in notes(first, make_report("b", resources={"workers": 2}))
    cut = make_report("b", evaluation={"group_boundaries": [0.2, 0.5]})
    assert "another cut between head, body and tail than the first: b" in notes(first, cut)
    resumed = make_report("b").model_copy(update={"attempt": 2})
    assert "seconds of the last attempt alone: b" in notes(first, resumed)
    continues = {"experiment": "a", "iteration": 9, "spec_hash": "0" * 64, "rate": "rewarmed"}
    told = "seconds of its own steps alone: b (continues a from iteration 9, rate rewarmed)"
    assert told in notes(first, make_report("b", continues=continues))
    assert "scored on other labels" in notes(first, make_report("b", scores=ABSENT))
    frequencies = scores_of([[8, 2, 0], [1, 5, 0], [1, 1, 2]], pixels=[3, 2, 1])
    assert "training frequencies differ" in notes(first, make_report("b", scores=frequencies))
    assert "listed more than once: a" in notes(first, first)


def scored(experiment: str, modes: dict[str, Scores], **changes: Any) -> AttemptReport:
    """A report with scores in several modes."""
    report = make_report(experiment, **changes)
    assert report.result is not None
    return report.model_copy(update={"result": report.result.model_copy(update={"evaluation": modes})})


def test_modes_are_compared_with_themselves() -> None:
    """Each mode has a table of its own; without a name it is the first of the first experiment."""
    both = scored("a", {"multi_scale": BETTER, "single_scale": BASE})
    other = scored("b", {"single_scale": BASE, "multi_scale": BASE})
    plain, named = compare([both, other]), compare([both, other], "single_scale")
    assert (plain.mode, plain.rows[0].mIoU, plain.rows[1].mIoU) == ("multi_scale", BETTER.mIoU, BASE.mIoU)
    assert (named.mode, named.rows[0].mIoU, named.rows[1].delta_mIoU) == ("single_scale", BASE.mIoU, 0)


def test_a_mode_that_is_not_there() -> None:
    """Never another mode's numbers in its place: the error says which modes there are."""
    both = scored("a", {"multi_scale": BETTER, "single_scale": BASE})
    with pytest.raises(ComparisonError, match="b was not scored in mode multi_scale; it has single_scale"):
        compare([both, make_report("b")])
    with pytest.raises(ComparisonError, match="in mode mine; it has multi_scale, single_scale"):
        compare([both, both], "mine")
    with pytest.raises(ComparisonError, match="c was not scored in mode multi_scale; it has no scores"):
        compare([both, scored("c", {})])
    with pytest.raises(ComparisonError, match="c was not scored"):
        compare([scored("c", {})])


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluation": {"inference": {"window": [32, 32], "stride": [16, 16]}}},
        {"augmentation": {"test_size": [256, 64]}},
    ],
)
def test_another_way_of_scoring_is_noted(changes: dict[str, Any]) -> None:
    """The same name of a mode may stand for windows or another size."""
    assert "another way of scoring than the first: b" in notes(make_report("a"), make_report("b", **changes))


def test_scores_of_pictures_stand_in_the_rows() -> None:
    """As the report has them."""
    row = compare([make_report("a", scores=BETTER)]).rows[0]
    assert row.by_picture == BETTER.by_picture
    assert row.region_frequency_groups == BETTER.region_frequency_groups
