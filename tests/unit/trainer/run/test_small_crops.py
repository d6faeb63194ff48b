"""What is said when a model that comes with its parts fails on its crops."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.factories import tiny_plan
from trainer.base.errors import ModelError, NonFiniteLoss
from trainer.plan import Plan
from trainer.run.runner import refuse_crops

# Pools a sixteenth of the crop by two: of a crop of 16 nothing is left.
BEIT = {"mmseg": "beit/beit-base_upernet_8xb2-160k_ade20k-640x640"}


def plan(storage: Path, side: int) -> Plan:
    schedule = {"iterations": 1, "batch_size": 2, "crop_size": [side, side]}
    return tiny_plan(storage, model=BEIT, weights="none", schedule=schedule)


def test_a_crop_that_is_too_small_is_named(tmp_path: Path) -> None:
    """torch's words alone would not say which field to change."""
    failed = RuntimeError("Output size is too small")
    with pytest.raises(ModelError) as caught:
        refuse_crops(plan(tmp_path, 16), failed)
    assert caught.value.pointer == "/schedule/crop_size"
    assert "cannot be trained on crops of 16×16" in caught.value.problem
    assert caught.value.__cause__ is failed


def test_other_failures_stay_as_they_are(tmp_path: Path) -> None:
    """A model that fits failed for another reason, and an error of ours says its own."""
    refuse_crops(plan(tmp_path, 32), RuntimeError("out of memory"))
    refuse_crops(plan(tmp_path, 16), NonFiniteLoss(1, "loss", float("nan")))
