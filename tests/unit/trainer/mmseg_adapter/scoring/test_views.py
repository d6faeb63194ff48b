"""The pixels of a view against those of mmcv's and our own transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmcv.transforms import Resize
from numpy.typing import NDArray

from tests.data_factories import make_spec
from trainer.mmseg_adapter.scoring.views import views_of
from trainer.mmseg_adapter.transforms import ScalePicture
from trainer.mmseg_adapter.way import TestWay, read_mode, read_way, way_of, written
from trainer.spec.evaluation import MODES, Mode, Slide

PAPERS = MODES["multi_scale"].scales
BEIT = {"mmseg": "beit/beit-base_upernet_8xb2-160k_ade20k-640x640"}


def make_picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def seen(picture: NDArray[np.uint8], mode: Mode, way: TestWay) -> list[NDArray[np.uint8]]:
    """The views as (H, W, 3), in the order of the scales."""
    views = views_of(picture, (mode,), way)
    assert list(views) == [(mode.base, scale) for scale in mode.scales]
    return [view.numpy().transpose(1, 2, 0) for view in views.values()]


def through(transform: Callable[[dict[str, Any]], dict[str, Any]], picture: Any) -> Any:
    return transform({"img": picture, "img_shape": picture.shape[:2]})["img"]


SIDES = st.integers(7, 90)


@given(height=SIDES, width=SIDES, box=st.tuples(st.integers(16, 120), st.integers(16, 120)))
def test_the_test_size_times_a_scale(height: int, width: int, box: tuple[int, int]) -> None:
    """As 0.x's MultiScaleFlipAug: the box's sides are multiplied and cut to integers, then Resize fits it."""
    picture, mode = make_picture(height, width), MODES["multi_scale"]
    for scale, view in zip(PAPERS, seen(picture, mode, TestWay(box, 1.0, "whole")), strict=True):
        scaled = (int(box[0] * scale), int(box[1] * scale))
        assert np.array_equal(view, through(Resize(scale=scaled, keep_ratio=True), picture))


@given(height=SIDES, width=SIDES)
def test_the_native_size_times_a_scale(height: int, width: int) -> None:
    """As 1.x's test-time augmentation, whatever the test size and the data set's scale are."""
    picture, mode = make_picture(height, width), MODES["multi_scale_native"]
    for scale, view in zip(PAPERS, seen(picture, mode, TestWay((64, 32), 0.5, "whole")), strict=True):
        assert np.array_equal(view, through(Resize(scale_factor=scale, keep_ratio=True), picture))


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.3, 2.0])
def test_pictures_scored_at_their_own_size(scale: float) -> None:
    """The data set's scale times the mode's, as ScalePicture resizes; at 1 the picture itself."""
    picture = make_picture(37, 61)
    views = seen(picture, Mode(name="m", scales=(1.0, 0.5, 1.75)), TestWay("native", scale, "whole"))
    for ratio, view in zip((1.0, 0.5, 1.75), views, strict=True):
        assert np.array_equal(view, through(ScalePicture(scale * ratio), picture))
    if scale == 1:
        assert np.array_equal(views[0], picture)


def test_views_that_modes_share_are_made_once() -> None:
    """Single scale is one of the views of the paper's multi scale."""
    way = TestWay((64, 32), 1.0, "whole")
    views = views_of(make_picture(30, 40), MODES.values(), way)
    assert len(views) == 2 * len(PAPERS)
    assert all(view.dtype == torch.uint8 and view.shape[0] == 3 for view in views.values())


def test_models_of_one_size_see_no_smaller_picture() -> None:
    """A view is as large as their window at least, its aspect kept; larger ones are as of any model."""
    slide = {"window": [64, 64], "stride": [43, 43]}
    schedule = {"crop_size": [64, 64], "batch_size": 2, "iterations": 4, "learning_rate": 0.1}
    spec = make_spec(model=BEIT, schedule=schedule, augmentation={"test_size": [256, 64]})
    way = way_of(spec)
    assert way == TestWay((256, 64), 1.0, Slide.model_validate(slide), smallest=64)
    picture = make_picture(60, 90)
    shapes = [view.shape[:2] for view in seen(picture, MODES["multi_scale"], way)]
    assert shapes[:3] == [(64, 96)] * 3
    assert [min(shape) for shape in shapes[3:]] == [80, 96, 112]
    assert (
        shapes[3]
        == seen(picture, Mode(name="m", scales=(1.25,)), TestWay((256, 64), 1.0, "whole"))[0].shape[:2]
    )


@pytest.mark.parametrize("base", ["native", "test_size"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 5)])
def test_no_view_is_empty(size: tuple[int, int], base: Any) -> None:
    """However small or narrow the picture: a side has at least one pixel."""
    mode = Mode(name="m", scales=(0.1, 1.0), base=base)
    for test_size in ((32, 16), "native"):
        for view in seen(make_picture(*size), mode, TestWay(test_size, 0.2, "whole")):
            assert min(view.shape) >= 1


@pytest.mark.parametrize("inference", ["whole", Slide(window=(64, 32), stride=(40, 20))])
@pytest.mark.parametrize("size", ["native", (64, 32)])
def test_written_and_read(size: Any, inference: Any) -> None:
    """A config has a mode and a way in JSON types, and they come back the same."""
    mode, way = (
        Mode(name="m", scales=(1, 0.5), inference=inference),
        TestWay(size, 0.5, inference, smallest=3),
    )
    plain = written(mode, way)
    assert (read_mode(plain["mode"]), read_way(plain["way"])) == (mode, way)
