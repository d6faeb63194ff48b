"""When scores may be subtracted: one answer, which comparisons and sweeps' tables both give."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.shared.schemas import Headline
from sweeps.results.table import Entry, make_table
from tests.data_factories import make_report, scores_of
from trainer.results.comparability import ground_of, why_apart
from trainer.results.compare import compare
from trainer.results.report import Scores
from trainer.results.scores import HEADLINE, HeadlineScores, column_title

MATRIX = [[60, 40], [10, 90]]
FIRST = scores_of(MATRIX, names=["road", "sky"])


def scored(matrix: list[list[int]] = MATRIX, **about: Any) -> Scores:
    return scores_of(matrix, **{"names": ["road", "sky"], **about})


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (scored([[90, 10], [50, 50]]), None),
        (scored(pixels=[1, 1000]), None),
        (scored(images=1234), "1,234 pictures instead of 10"),
        (scored([[60, 40], [10, 91]]), "101 pixels of 'sky' instead of 100"),
        (scored(names=["road", "tree"]), "other classes: class 1 is 'tree', not 'sky'"),
        (scored(names=["sky", "road"]), "other classes: class 0 is 'sky', not 'road'"),
        (scored([[100]], names=["road"]), "other classes: 1 instead of 2"),
    ],
    ids=["another model", "other training data", "pictures", "labels", "name", "order", "number"],
)
def test_why_scores_are_not_subtracted(other: Scores, reason: str | None) -> None:
    """The reason names what differs; predictions and training data are none."""
    assert why_apart(ground_of(other), ground_of(FIRST)) == reason


def test_groups_matter_to_their_own_scores_alone() -> None:
    """Where training puts classes into other groups, tail mIoU is one of other classes; mIoU is not."""
    other = ground_of(scored(pixels=[1, 1000]))
    assert why_apart(other, ground_of(FIRST), "tail_mIoU") == "other classes in head, body and tail"
    assert why_apart(other, ground_of(FIRST), "mAcc") is None


def test_classes_are_known_by_id_and_name() -> None:
    """A report that lists its classes in another order is compared class by class all the same."""
    better = scored([[80, 20], [10, 90]])
    turned = better.model_copy(update={"classes": better.classes[::-1]})
    reports = [make_report("a", scores=FIRST), make_report("b", scores=turned)]
    rows = {one.name: one.iou for one in compare(reports).classes}
    assert rows == {
        one.name: (one.iou, other.iou) for one, other in zip(FIRST.classes, better.classes, strict=True)
    }
    (block,) = make_table("t", [Entry(one.experiment, 0, one) for one in reports]).blocks
    assert {one.name: one.iou for one in block.classes} == rows


@given(st.sampled_from([0, 1]), st.sampled_from([0, 1]), st.sampled_from([10, 11]))
def test_both_tables_agree(moved: int, added: int, images: int) -> None:
    """A comparison and a sweep's table give a difference for the same reports, and the same one."""
    other = scored([[60 - moved, 40 + moved], [10, 90 + added]], images=images)
    reports = [make_report("a", scores=FIRST), make_report("b", scores=other)]
    compared = compare(reports)
    table = make_table("t", [Entry(one.experiment, 0, one) for one in reports])
    assert compared.rows[1].delta_mIoU == table.blocks[0].rows[1].delta
    assert [one.delta_iou for one in compared.classes] == [one.delta_iou for one in table.blocks[0].classes]
    assert (compared.rows[1].delta_mIoU is None) == (added == 1 or images != 10)


def test_the_six_scores_are_the_same_everywhere() -> None:
    """Their names are listed once; the models that must write them out have these, in this order."""
    assert tuple(HeadlineScores.model_fields) == tuple(Headline.model_fields) == HEADLINE
    assert [column_title(name) for name in HEADLINE] == ["mIoU", "mAcc", "aAcc", "head", "body", "tail"]
