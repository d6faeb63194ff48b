"""Digit scenes: a synthetic composite with a tunable long tail, made from what scikit-learn bundles.

A scene is a 64×64 crop of one of two photographs (class 0) with handwritten digits on half-transparent
tinted cards; a card's whole rectangle is labelled with its digit (class 1 + digit). Digit 0 is the most
common and the largest, digit 9 the rarest and the smallest.

Letters: H W scene size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trainer.spec.data.datasets import DATASETS, DigitScenes

RENDERER_VERSION = 3  # raise it with every change that changes a pixel: rendered scenes are kept by it
SIZE = 64  # H and W
DIGITS = 10
COMMON_SHARE = 0.748  # of the pictures hold the most common digit

_TRAIN_SAMPLES = 0.7  # of each digit's samples; the rest are for evaluation
_LARGEST_SIDE = 28.0  # pixels, mean side of the most common digit's card
_SHRINK = 0.07  # a card's side falls with this power of its class's relative frequency
_SMALLEST_SIDE = 8
_CROWDED = 0.6  # cards never take a larger share of a scene than this
_PLACES_TRIED = 12

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")
Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """`picture` (H, W, 3) uint8 RGB, `labels` (H, W) uint8 class ids."""

    picture: Picture
    labels: Picture


@dataclass(frozen=True)
class _Material:
    """What one split's scenes are made of: per digit (n, 8, 8) uint8 samples, and photographs."""

    samples: tuple[Picture, ...]
    photographs: tuple[Any, ...]  # PIL pictures


def digit_counts(images: int, imbalance: float) -> tuple[int, ...]:
    """Scenes that contain digit 0, 1, … 9: 74.8 % of `images`, falling geometrically by `imbalance`."""
    ratio = imbalance ** (-1 / (DIGITS - 1))
    return tuple(max(1, round(COMMON_SHARE * images * ratio**digit)) for digit in range(DIGITS))


def render(parameters: DigitScenes, split: Split) -> Iterator[Scene]:
    """All scenes of a split, one after the other; the same for the same parameters.

    The splits share no digit sample and no part of a photograph.
    """
    images = parameters.train_images if split == "train" else parameters.eval_images
    rng = np.random.default_rng([parameters.seed, SPLITS.index(split)])
    counts = digit_counts(images, parameters.imbalance)
    sides = [_LARGEST_SIDE * (count / counts[0]) ** _SHRINK for count in counts]
    material = _material(parameters.seed, split)
    contents: list[list[int]] = [[] for _ in range(images)]
    for digit, count in enumerate(counts):
        for image in rng.permutation(images)[:count]:
            contents[image].append(digit)
    for digits in contents:
        yield _scene(rng, material, digits, sides)


def class_names() -> tuple[str, ...]:
    """Names in label order."""
    names = DATASETS["digit_scenes"].classes
    assert names is not None
    return names


def sample_split(labels: npt.ArrayLike, seed: int, split: Split) -> list[npt.NDArray[np.int64]]:
    """Per digit, the indices into `labels` of the samples that `split` may use."""
    wanted = np.asarray(labels)
    rng = np.random.default_rng([seed, 2])
    parts = []
    for digit in range(DIGITS):
        order = rng.permutation(np.flatnonzero(wanted == digit))
        cut = round(_TRAIN_SAMPLES * len(order))
        parts.append(order[:cut] if split == "train" else order[cut:])
    return parts


def _material(seed: int, split: Split) -> _Material:
    from PIL import Image
    from sklearn.datasets import load_digits, load_sample_images

    bunch = load_digits()
    pixels = np.minimum(bunch.images * 16, 255).astype(np.uint8)
    samples = tuple(pixels[part] for part in sample_split(bunch.target, seed, split))
    photographs = []
    for photograph in load_sample_images().images:
        middle = photograph.shape[1] // 2
        half = photograph[:, :middle] if split == "train" else photograph[:, middle:]
        photographs.append(Image.fromarray(np.ascontiguousarray(half)))
    return _Material(samples, tuple(photographs))


def _scene(rng: np.random.Generator, material: _Material, digits: list[int], sides: list[float]) -> Scene:
    """One scene: rarer digits are laid over commoner ones, each where it hides least (`_place`)."""
    canvas = _background(rng, material.photographs)
    labels = np.zeros((SIZE, SIZE), dtype=np.uint8)
    crowd = sum(sides[digit] ** 2 for digit in digits) / SIZE**2
    shrink = min(1.0, math.sqrt(_CROWDED / crowd)) if digits else 1.0
    for digit in digits:
        height, width = (
            max(_SMALLEST_SIDE, min(SIZE // 2, round(sides[digit] * shrink * factor)))
            for factor in rng.uniform(0.85, 1.15, size=2)
        )
        top, left = _place(rng, labels, height, width)
        window = (slice(top, top + height), slice(left, left + width))
        choices = material.samples[digit]
        strokes = _strokes(rng, choices[rng.integers(len(choices))], height, width)
        canvas[window] = _card(rng, canvas[window], strokes)
        labels[window] = digit + 1
    canvas += rng.normal(0.0, rng.uniform(1.0, 5.0), size=canvas.shape)
    return Scene(np.clip(canvas, 0, 255).astype(np.uint8), labels)


def _background(rng: np.random.Generator, photographs: tuple[Any, ...]) -> Floats:
    """(H, W, 3) float32, 0 to 255: a square crop of 64 to 160 pixels, shrunk to scene size."""
    from PIL import Image

    photograph = photographs[rng.integers(len(photographs))]
    side = int(rng.integers(SIZE, 161))
    left = int(rng.integers(photograph.width - side + 1))
    top = int(rng.integers(photograph.height - side + 1))
    box = (left, top, left + side, top + side)
    crop = photograph.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box)
    return np.asarray(crop, dtype=np.float32).copy()


def _place(rng: np.random.Generator, labels: Picture, height: int, width: int) -> tuple[int, int]:
    """(top, left) of a card: free ground if a few tries find it, else where it hides least of others."""
    tops = rng.integers(SIZE - height + 1, size=_PLACES_TRIED)
    lefts = rng.integers(SIZE - width + 1, size=_PLACES_TRIED)
    visible = np.bincount(labels.ravel(), minlength=DIGITS + 1)
    best, best_hidden = (0, 0), 2.0
    for top, left in zip(tops.tolist(), lefts.tolist(), strict=True):
        under = np.bincount(labels[top : top + height, left : left + width].ravel(), minlength=DIGITS + 1)
        hidden = float(np.max(under[1:] / np.maximum(visible[1:], 1)))
        if hidden < best_hidden:
            best, best_hidden = (top, left), hidden
        if hidden == 0:
            break
    return best


def _strokes(rng: np.random.Generator, sample: Picture, height: int, width: int) -> Floats:
    """(height, width) float32, 0 to 1: an 8×8 sample enlarged, a little turned, slanted and moved."""
    from PIL import Image

    angle, slant = rng.normal(0.0, 0.07), rng.normal(0.0, 0.05)
    zoom = rng.uniform(0.9, 1.1)  # above 1 leaves a margin
    cos, sin = math.cos(angle) * zoom, math.sin(angle) * zoom
    across = (cos * 8 / width, (sin + slant) * 8 / height)
    down = (-sin * 8 / width, cos * 8 / height)
    centre_x, centre_y = 4 + rng.uniform(-0.4, 0.4), 4 + rng.uniform(-0.4, 0.4)
    offset_x = centre_x - across[0] * width / 2 - across[1] * height / 2
    offset_y = centre_y - down[0] * width / 2 - down[1] * height / 2
    matrix = (*across, offset_x, *down, offset_y)
    enlarged = Image.fromarray(sample).transform(
        (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
    )
    strokes: Floats = np.asarray(enlarged, dtype=np.float32) / np.float32(255)
    return strokes


def _card(rng: np.random.Generator, ground: Floats, strokes: Floats) -> Floats:
    """`ground` under a half-transparent tinted card that bears `strokes` in lighter, seldom darker, ink."""
    tint = rng.uniform(30, 225, size=3).astype(np.float32)
    opacity = np.float32(rng.uniform(0.6, 0.85))
    card = ground * (1 - opacity) + tint * opacity
    towards = np.float32(0 if tint.mean() > rng.uniform(130, 200) else 255)
    ink = towards + (rng.uniform(0, 255, size=3).astype(np.float32) - towards) * np.float32(0.15)
    strength = strokes[..., None] * np.float32(rng.uniform(0.8, 1.0))
    blended: Floats = card * (1 - strength) + ink * strength
    return blended
