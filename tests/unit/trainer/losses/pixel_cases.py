"""Every pixel loss by name, as a fresh module and as its written-out definition, and a batch to put in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tests.unit.trainer.losses.reference import cross_entropy_by_hand, dice_by_hand, random_labels
from tests.unit.trainer.losses.reference_pixel import (
    Hand,
    blv_by_hand,
    effective_number_by_hand,
    focal_by_hand,
    ldam_by_hand,
    lovasz_by_hand,
    ohem_by_hand,
    pixels_of,
    recall_by_hand,
    seesaw_by_hand,
)
from trainer.losses.blv import Blv, clipped_noise
from trainer.losses.cross_entropy import CrossEntropy
from trainer.losses.dice import Dice
from trainer.losses.focal import Focal
from trainer.losses.ldam import Ldam
from trainer.losses.logit_adjusted import BalancedSoftmax, LogitAdjusted
from trainer.losses.lovasz import Lovasz
from trainer.losses.ohem import Ohem
from trainer.losses.own_random import own_generator
from trainer.losses.recall import Recall
from trainer.losses.reweighted import Reweighted
from trainer.losses.seesaw import Seesaw

COUNTS = [900, 90, 9, 1]
K = len(COUNTS)
BETA, TAU, GAMMA = 0.99, 0.7, 1.5

# From class counts to a module that has seen nothing yet.
MODULES: dict[str, Callable[[Sequence[int]], nn.Module]] = {
    "cross_entropy": lambda _: CrossEntropy(),
    "reweighted": Reweighted,
    "effective_number": lambda counts: Reweighted(counts, beta=BETA),
    "balanced_softmax": BalancedSoftmax,
    "logit_adjusted": lambda counts: LogitAdjusted(counts, temperature=TAU),
    "ldam": lambda counts: Ldam(counts, max_margin=0.5, scale=3.0),
    "focal": lambda _: Focal(gamma=GAMMA),
    "lovasz_batch": lambda _: Lovasz(scope="batch"),
    "lovasz_image": lambda _: Lovasz(scope="image"),
    "ohem": lambda _: Ohem(threshold=0.3, min_kept=0.25),
    "seesaw": lambda counts: Seesaw(len(counts)),
    "recall": lambda _: Recall(),
    "blv": Blv,
    "dice": lambda _: Dice(),
}


def make_batch(dtype: torch.dtype = torch.float64, images: int = 2) -> tuple[Tensor, Tensor]:
    """(N, K, 5, 6) logits and (N, 5, 6) labels, some of them ignored."""
    generator = torch.Generator().manual_seed(5)
    logits = 2 * torch.randn(images, K, 5, 6, generator=generator, dtype=torch.float64)
    return logits.to(dtype), random_labels(generator, (images, 5, 6), K)


def by_hand(name: str, logits: Tensor, target: Tensor) -> Hand:
    """What the module of that name, made for `COUNTS`, gives on its first batch."""
    inverse = [1 / count for count in COUNTS]
    prior = [count / sum(COUNTS) for count in COUNTS]
    counts = [sum(y == k for _, y in pixels_of(logits, target)) for k in range(K)]
    weights = [K * value / sum(inverse) for value in inverse]
    definitions: dict[str, Callable[[], Hand]] = {
        "cross_entropy": lambda: cross_entropy_by_hand(logits, target),
        "reweighted": lambda: cross_entropy_by_hand(logits, target, weights),
        "effective_number": lambda: cross_entropy_by_hand(
            logits, target, effective_number_by_hand(COUNTS, BETA)
        ),
        "balanced_softmax": lambda: cross_entropy_by_hand(logits, target, prior=prior),
        "logit_adjusted": lambda: cross_entropy_by_hand(logits, target, prior=[p**TAU for p in prior]),
        "ldam": lambda: ldam_by_hand(logits, target, COUNTS, 0.5, 3.0),
        "focal": lambda: focal_by_hand(logits, target, GAMMA),
        "lovasz_batch": lambda: lovasz_by_hand(logits, target, "batch"),
        "lovasz_image": lambda: lovasz_by_hand(logits, target, "image"),
        "ohem": lambda: ohem_by_hand(logits, target, 0.3, 0.25),
        "seesaw": lambda: seesaw_by_hand(logits, target, counts, 0.8, 2.0),
        "recall": lambda: recall_by_hand(logits, target),
        "blv": lambda: blv_by_hand(
            logits, target, COUNTS, clipped_noise(logits, sigma=4.0, generator=own_generator(0, 0, 0))
        ),
        "dice": lambda: dice_by_hand(logits, target),
    }
    return definitions[name]()
