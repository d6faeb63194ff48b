"""One picture labelled, and a checkpoint taken away, in this process, without Ray."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bad_pictures import DAMAGED, REFUSED
from tests.unit.trainer.followups.test_evaluate import planned
from trainer.base.errors import DataError
from trainer.drawing.disagreement import one_right
from trainer.followups.disagreement import largest_boxes
from trainer.followups.task import FollowupPlan
from trainer.followups.worker import work
from trainer.plan import Plan
from trainer.results.followup import PredictionResult

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning:mmseg.*", "ignore:torch.meshgrid.*:UserWarning"),
]


def outputs(plan: FollowupPlan) -> list[str]:
    return [file.name for file in (plan.dir.labels, plan.dir.overlay, plan.dir.legend) if file.exists()]


def test_a_picture_as_it_was_sent(plans: tuple[Plan, Plan]) -> None:
    """Labels, overlay and legend at its own size; the report counts the pixels of what is there."""
    plan = planned(plans[0], "one", kind="prediction")
    source = Path(plan.data.root) / "images" / "val" / "p0.png"
    plan.dir.picture.write(source.read_bytes())
    result = PredictionResult.model_validate(work(plan.model_dump_json()))
    assert outputs(plan) == ["labels.png", "overlay.png", "legend.png"]
    labels = np.asarray(Image.open(plan.dir.labels.local))
    assert labels.shape == (result.height, result.width) == (48, 64)
    names, counts = np.unique(labels, return_counts=True)
    found = {plan.data.classes[k]: int(number) for k, number in zip(names, counts, strict=True)}
    assert result.pixels == found


@pytest.mark.parametrize("name", ["JPEG CMYK", "huge", "dot", "text", "PNG cut", "JPEG cut"])
def test_a_bad_picture_leaves_nothing(plans: tuple[Plan, Plan], name: str) -> None:
    """What is wrong is told."""
    _, make, words = (REFUSED | DAMAGED)[name]
    plan = planned(plans[0], f"bad-{name.replace(' ', '-')}", kind="prediction")
    plan.dir.picture.write(make())
    with pytest.raises(DataError, match=r"^the picture ") as raised:
        work(plan.model_dump_json())
    assert words.removeprefix("p0.png: ").split(")")[0] in str(raised.value)
    assert outputs(plan) == []


def test_boxes_of_regions() -> None:
    """The largest first, ends outside; pixels that touch at a corner are one region."""
    target = np.zeros((8, 8), np.uint8)
    ours, other = target.copy(), target.copy()
    ours[0, 0] = ours[1, 1] = 1
    other[4:6, 4:7] = 1
    where = one_right(ours, other, target)
    assert largest_boxes(where, 5) == [(4, 4, 7, 6), (0, 0, 2, 2)]
    assert largest_boxes(where, 1) == [(4, 4, 7, 6)]
    assert largest_boxes(np.zeros((4, 4), np.bool_), 5) == []
