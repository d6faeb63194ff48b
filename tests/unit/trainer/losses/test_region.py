from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.unit.trainer.losses.reference import (
    GRADIENT_TOLERANCE,
    IGNORE,
    assert_near,
    batches,
    random_labels,
    upsample_then_mean,
)
from trainer.losses.region import RegionFeatures, Scope, adjoint_weights, find_regions, region_mean_features

SIZES = [((4, 5), (16, 20)), ((5, 3), (17, 23)), ((7, 9), (5, 4)), ((1, 1), (6, 7)), ((6, 8), (6, 8))]
SCOPES: tuple[Scope, ...] = ("image", "batch")


def _case(
    size: tuple[int, int], label_size: tuple[int, int], dtype: torch.dtype, images: int = 3
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(images, 4, *size, generator=generator, dtype=torch.float64)
    return features.to(dtype), random_labels(generator, (images, *label_size), 5)


def _names(regions: RegionFeatures) -> list[tuple[int, ...]]:
    columns = (regions.class_ids, regions.image_ids, regions.pixel_counts)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("size", "label_size"), SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_equals_upsampling_then_averaging(
    dtype: torch.dtype,
    size: tuple[int, int],
    label_size: tuple[int, int],
    align_corners: bool,
    scope: Scope,
) -> None:
    """Values and gradients are those of torch's own bilinear upsampling followed by masked means."""
    features, target = _case(size, label_size, dtype)
    features.requires_grad_()
    ours = region_mean_features(
        features, target, num_classes=5, ignore_index=IGNORE, scope=scope, align_corners=align_corners
    )
    theirs, names = upsample_then_mean(features, target, align_corners=align_corners, scope=scope)
    assert _names(ours) == names
    assert_near(ours.features, theirs, dtype)
    upstream = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(4), dtype=dtype)
    gradients = [torch.autograd.grad(rows, features, upstream)[0] for rows in (ours.features, theirs)]
    assert_near(gradients[0], gradients[1], dtype, GRADIENT_TOLERANCE)
    assert gradients[0].is_contiguous()


@settings(max_examples=40, deadline=None)
@given(
    batch=batches([torch.float64, torch.float32]),
    align_corners=st.booleans(),
    scope=st.sampled_from(SCOPES),
)
def test_any_shape_and_label_pattern_agrees(
    batch: tuple[Tensor, Tensor, Tensor], align_corners: bool, scope: Scope
) -> None:
    """Single pixels, ignored images, sizes that shrink or do not divide: the identity holds everywhere."""
    logits, features, target = batch
    ours = region_mean_features(
        features, target, num_classes=logits.shape[1], scope=scope, align_corners=align_corners
    )
    theirs, names = upsample_then_mean(features, target, align_corners=align_corners, scope=scope)
    assert _names(ours) == names
    assert_near(ours.features, theirs, torch.float32)


@pytest.mark.parametrize(("align_corners", "scope"), list(itertools.product([False, True], SCOPES)))
def test_gradcheck(align_corners: bool, scope: Scope) -> None:
    """Finite differences agree in float64, with ignored pixels."""
    features, target = _case((3, 4), (7, 6), torch.float64, images=2)

    def pooled(values: Tensor) -> Tensor:
        return region_mean_features(
            values, target, num_classes=5, scope=scope, align_corners=align_corners
        ).features

    assert torch.autograd.gradcheck(pooled, (features.requires_grad_(),))


def test_weights_of_a_region_sum_to_its_pixels() -> None:
    """The adjoint moves every label pixel's weight of one onto feature cells and loses none."""
    _, target = _case((4, 5), (16, 20), torch.float64)
    regions = find_regions(target, num_classes=5, ignore_index=IGNORE)
    weights = adjoint_weights(target, regions, (4, 5), align_corners=False, dtype=torch.float64)
    sums = weights.sum(dim=2)[regions.image_ids, regions.slots]
    assert_near(sums, regions.pixel_counts, torch.float64)
    assert (weights >= 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_features_are_summed_in_float32_under_autocast(dtype: torch.dtype) -> None:
    """Half features give the float32 result of the same numbers, and its gradient in their own type."""
    features, target = _case((4, 5), (16, 20), dtype)
    features.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pooled = region_mean_features(features, target, num_classes=5).features
        pooled.sum().backward()
    wide = features.detach().float().requires_grad_()
    exact, _ = upsample_then_mean(wide, target, align_corners=False)
    (wanted,) = torch.autograd.grad(exact.sum(), wide)
    assert pooled.dtype is torch.float32
    assert_near(pooled, exact, torch.float32)
    assert features.grad is not None
    assert features.grad.dtype is dtype
    assert_near(features.grad, wanted, torch.bfloat16, GRADIENT_TOLERANCE)


@pytest.mark.parametrize("scope", SCOPES)
def test_no_region_gives_no_row_and_a_graph(scope: Scope) -> None:
    """Where every pixel is ignored R is 0, and the gradient exists and is zero."""
    features = torch.randn(2, 3, 4, 4, requires_grad=True)
    target = torch.full((2, 8, 8), IGNORE)
    pooled = region_mean_features(features, target, num_classes=5, scope=scope)
    assert pooled.features.shape == (0, 3)
    pooled.features.sum().backward()
    assert features.grad is not None
    assert not features.grad.any()


@pytest.mark.parametrize("scope", SCOPES)
def test_a_batch_of_no_pictures_has_no_region(scope: Scope) -> None:
    """N = 0 gives R = 0 and a graph, as a batch without a valid pixel does."""
    features = torch.randn(0, 3, 4, 4, requires_grad=True)
    target = torch.zeros(0, 8, 8, dtype=torch.int64)
    pooled = region_mean_features(features, target, num_classes=5, scope=scope)
    assert pooled.features.shape == (0, 3)
    pooled.features.sum().backward()


def test_another_scope_is_refused() -> None:
    """A misspelt scope is not taken for one of the two."""
    with pytest.raises(ValueError, match="scope is 'Batch'; allowed: 'image', 'batch'"):
        region_mean_features(
            torch.zeros(1, 2, 2, 2),
            torch.zeros(1, 4, 4, dtype=torch.int64),
            num_classes=5,
            scope="Batch",  # type: ignore[arg-type]
        )


def test_a_region_of_one_pixel_keeps_its_feature() -> None:
    """A single labelled pixel gives the upsampled feature at that pixel: small regions are not lost."""
    features = torch.arange(16.0).reshape(1, 1, 4, 4)
    target = torch.full((1, 16, 16), 0)
    target[0, 7, 11] = 1
    pooled = region_mean_features(features, target, num_classes=2)
    full = torch.nn.functional.interpolate(features, size=(16, 16), mode="bilinear")
    assert pooled.pixel_counts.tolist() == [255, 1]
    assert_near(pooled.features[1, 0], full[0, 0, 7, 11], torch.float32)


def test_channels_last_features_give_the_same_means() -> None:
    """The memory format of the features does not matter."""
    features, target = _case((4, 5), (16, 20), torch.float64)
    plain = region_mean_features(features, target, num_classes=5).features
    last = features.to(memory_format=torch.channels_last)
    assert_near(region_mean_features(last, target, num_classes=5).features, plain, torch.float64)


def test_the_full_resolution_tensor_is_never_built() -> None:
    """Peak memory beyond the inputs stays far below that of the features at label size."""
    features = torch.randn(1, 256, 16, 16)
    target = torch.zeros(1, 128, 128, dtype=torch.int64)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True, acc_events=True) as profile:
        region_mean_features(features, target, num_classes=3)
    allocated = sum(max(0, event.self_cpu_memory_usage) for event in profile.events())
    assert allocated < features.shape[1] * target.numel() * 4 / 4


def test_labels_out_of_range_are_refused() -> None:
    """The check of all losses comes first."""
    with pytest.raises(ValueError, match="allowed: 0 to 4"):
        region_mean_features(torch.zeros(1, 2, 2, 2), torch.full((1, 4, 4), 7), num_classes=5)
