"""Fields that are each allowed and cannot be meant together: told at both, with what would fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.data_factories import spec_document
from trainer.base.errors import SpecError
from trainer.spec.models import CATALOGUE
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
    pooled = replace(CATALOGUE["small"], norm_stride=0)
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


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"schedule": {"batch_size": 16, "accumulate": 3}},
            {"/schedule/batch_size": "a multiple of /resources/workers × /schedule/accumulate (3)"},
        ),
        (
            {"schedule": {"batch_size": 8, "accumulate": 4}, "resources": {"workers": 4}},
            {"/schedule/batch_size": "a multiple of /resources/workers × /schedule/accumulate (16)"},
        ),
        ({"schedule": {"accumulate": 2}, "method": "ohem"}, {"/schedule/accumulate": "1"}),
        ({"schedule": {"accumulate": 2}, "method": "seesaw"}, {"/schedule/accumulate": "1"}),
        ({"schedule": {"accumulate": 2}, "method": "recall"}, {"/schedule/accumulate": "1"}),
        (
            {"schedule": {"accumulate": 2}, "method": "lovasz"},
            {"/schedule/accumulate": '1, or /method/scope "image"'},
        ),
        (
            {"schedule": {"accumulate": 2}, "method": {"kind": "region_rebalance", "scope": "batch"}},
            {"/schedule/accumulate": '1, or /method/scope "image"'},
        ),
        (
            {"schedule": {"betas": [0.9, 0.99]}},
            {"/schedule/betas": 'null, or /schedule/optimizer "adamw"'},
        ),
        (
            {"schedule": {"learning_rate": 0.1, "min_learning_rate": 0.2}},
            {"/schedule/min_learning_rate": "0 to 0.1"},
        ),
        (
            {"schedule": {"precision": "fp16"}},
            {"/schedule/precision": '"float32" or "bf16", or /resources/gpus_per_worker above 0'},
        ),
        ({"schedule": {"layer_decay": 0.9}}, {"/schedule/layer_decay": "null"}),
        (
            {"schedule": {"parameter_groups": [{"match": "norm"}, {"match": "norm"}]}},
            {"/schedule/parameter_groups/1/match": "each text once"},
        ),
        (
            {"schedule": {"no_weight_decay": ["norms", "norms"]}},
            {"/schedule/no_weight_decay": "each word once"},
        ),
        ({"augmentation": {"jitter": [2, 1]}}, {"/augmentation/jitter": "[smallest, largest]"}),
        (
            {"dataset": "camvid", "augmentation": {"test_size": [480, 360]}},
            {"/augmentation/test_size": '"native", or /dataset/scale 1'},
        ),
    ],
)
def test_words_that_do_not_go_together(changes: dict[str, Any], told: dict[str, str]) -> None:
    """Each is told where it stands, with what would do."""
    assert problems(**changes) == told


def test_accumulation_and_batch_norm() -> None:
    """Each part must have what batch norm needs."""
    assert problems(schedule={"batch_size": 4, "crop_size": [16, 16], "accumulate": 4}) == {
        "/schedule/batch_size": ">= 8, or a height or width >= 17 in /schedule/crop_size",
        "/schedule/crop_size": "a height or width >= 17, or /schedule/batch_size >= 8",
    }


def test_a_crop_fits_the_resized_picture() -> None:
    """64×64 scenes that are resized to fit in 256×128 take crops of up to 128×128."""
    base = {"augmentation": {"resize_base": [256, 128]}}
    assert not problems(schedule={"crop_size": [128, 128]}, **base)
    assert problems(schedule={"crop_size": [128, 129]}, **base) == {"/schedule/crop_size/1": "16 to 128"}
