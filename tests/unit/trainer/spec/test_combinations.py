"""Fields that are each allowed and cannot be meant together: told at both, with what would fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.data_factories import spec_document
from trainer.base.errors import SpecError
from trainer.spec.models import RECIPES
from trainer.spec.spec import crop_problems, parse_spec


def problems(**changes: Any) -> dict[str, str]:
    """What is allowed, by pointer, of the one mistake that is told; nothing for a spec that is taken."""
    try:
        parse_spec(spec_document(**changes))
    except SpecError as error:
        found = error.problems
    else:
        return {}
    assert len({problem.got for problem in found}) == 1
    return {problem.pointer: problem.allowed for problem in found}


def asked(batch_size: int, crop_size: list[int], workers: int = 1, gpus: float = 0) -> dict[str, Any]:
    schedule = {"batch_size": batch_size, "crop_size": crop_size}
    return {"schedule": schedule, "resources": {"workers": workers, "gpus_per_worker": gpus}}


@pytest.mark.parametrize(("workers", "gpus", "more"), [(1, 0, 2), (2, 0, 4), (1, 1, 2), (1, 0.5, 2)])
def test_one_value_for_batch_norm(workers: int, gpus: float, more: int) -> None:
    """A worker with one picture, cropped so that the deepest map is one cell: more of either would fit."""
    assert problems(**asked(workers, [16, 16], workers, gpus)) == {
        "/schedule/batch_size": f">= {more}, or a height or width >= 17 in /schedule/crop_size",
        "/schedule/crop_size": f"a height or width >= 17, or /schedule/batch_size >= {more}",
    }
    assert not problems(**asked(more, [16, 16], workers, gpus))
    assert not problems(**asked(workers, [17, 16], workers, gpus))
    assert not problems(**asked(workers, [16, 17], workers, gpus))


def test_workers_on_gpus_normalise_together() -> None:
    """One picture on each of two GPUs is two values: SyncBN gathers them."""
    assert not problems(**asked(2, [16, 16], workers=2, gpus=1))


def test_a_pooled_map_is_one_cell_however_large_the_crop() -> None:
    """Behind pooling to one cell only more pictures help."""
    pooled = replace(RECIPES["small"], norm_stride=None)
    assert pooled.norm_values((2048, 2048), 1) == 1
    assert pooled.norm_values((16, 16), 2) == 2


@pytest.mark.parametrize("share", [0.125, 0.5, 0.875])
def test_several_workers_on_one_gpu(share: float) -> None:
    """NCCL refuses two ranks on one GPU; one worker may have a part of one."""
    assert problems(resources={"workers": 2, "gpus_per_worker": share}) == {
        "/resources/workers": "1, or /resources/gpus_per_worker 0 or 1",
        "/resources/gpus_per_worker": "0 or 1, or /resources/workers 1",
    }
    assert not problems(resources={"workers": 1, "gpus_per_worker": share})
    assert not problems(resources={"workers": 2, "gpus_per_worker": round(share)})


@pytest.mark.parametrize(
    ("dataset", "size", "pointer", "got"),
    [
        ({"name": "folder", "root": "/x", "scale": 0.1}, (48, 9), "/dataset/scale", "48×9 at scale 0.1"),
        ({"name": "folder", "root": "/x"}, (15, 900), "/dataset", "15×900"),
    ],
)
def test_pictures_below_the_smallest_crop(
    dataset: dict[str, Any], size: tuple[int, int], pointer: str, got: str
) -> None:
    """No crop fits: that is the scale's fault, or the pictures', and no range of crops is offered."""
    spec = parse_spec(spec_document(dataset=dataset))
    (problem,) = crop_problems(spec, size)
    assert problem.pointer == pointer
    assert problem.got == f"every picture is {got}: no crop fits"
    assert "at least 16×16" in problem.allowed
