"""From region features to region logits: two classifiers, and a projection of the features before pooling.

They draw nothing from a global random stream: parameters come from generators of their own. There is no
`nn.Linear`, `nn.Conv2d` or `nn.BatchNorm2d` inside: an initialisation by layer type, as some mmseg heads ask
for, would find it and draw for it from the stream that the pixel path's weights come from.

Letters: N images, K classes, D channels of the features before the classifier, P channels of their
projection, h w feature size, R regions present.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.losses.etf import simplex_etf
from trainer.losses.own_random import own_generator
from trainer.losses.pixels import wide
from trainer.losses.reduction import rank

_BATCH_NORM_EPS = 1e-5  # torch's default, and so that of the recipes


class _HiddenLayer(nn.Module):
    """Linear D -> hidden, ReLU, and the dropout after them.

    Each dropout mask comes from a generator seeded by (seed, rank, step); `step` is part of the state, so a
    resumed run goes on with the masks it would have had.
    """

    step: Tensor

    def __init__(
        self, channels: int, *, hidden: int, dropout: float, seed: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.dropout, self.seed = dropout, seed
        self.hidden_weight, self.hidden_bias = _linear(hidden, channels, generator)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def hidden(self, features: Tensor) -> Tensor:
        """(R, hidden), none below 0, of (R, D) region features."""
        return functional.linear(features, self.hidden_weight, self.hidden_bias).relu()

    def dropped(self, hidden: Tensor) -> Tensor:
        """`hidden`; in training with some units 0, and the others scaled up to keep the expected value."""
        return hidden * self._mask(hidden) if self.training and self.dropout > 0 else hidden

    @torch.no_grad()
    def _mask(self, hidden: Tensor) -> Tensor:
        """0 with probability `dropout`, else 1 / (1 - dropout); like `hidden`. Moves `step` on."""
        generator = own_generator(self.seed, rank(), int(self.step), device=hidden.device)
        self.step += 1
        kept = torch.empty_like(hidden).bernoulli_(1 - self.dropout, generator=generator)
        return kept.div_(1 - self.dropout)


class RegionClassifier(_HiddenLayer):
    """Linear D -> hidden, ReLU, dropout, Linear hidden -> K: the default."""

    def __init__(
        self, channels: int, num_classes: int, *, hidden: int = 512, dropout: float = 0.1, seed: int = 0
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        super().__init__(channels, hidden=hidden, dropout=dropout, seed=seed, generator=generator)
        self.output_weight, self.output_bias = _linear(num_classes, hidden, generator)

    def forward(self, features: Tensor) -> Tensor:
        """(R, K) logits of (R, D) region features."""
        return functional.linear(self.dropped(self.hidden(features)), self.output_weight, self.output_bias)


class EtfRegionClassifier(_HiddenLayer):
    """Linear D -> hidden, ReLU, to unit length, dropout, then scale times the products with a fixed frame.

    The frame (hidden, K) is a simplex equiangular tight frame and learns nothing; there is no bias. It is
    part of the state: decompositions differ in their last bits from one machine to another.
    Source: CeCo, Zhong et al., CVPR 2023; the order of the steps is that of the authors' `UPerHead_ceco`.
    """

    frame: Tensor

    def __init__(
        self,
        channels: int,
        num_classes: int,
        *,
        hidden: int = 512,
        dropout: float = 0.1,
        scale: float = 5.0,
        seed: int = 0,
    ) -> None:
        """Raises ValueError where there are more classes than hidden units (`simplex_etf`)."""
        generator = torch.Generator().manual_seed(seed)
        super().__init__(channels, hidden=hidden, dropout=dropout, seed=seed, generator=generator)
        self.scale = scale
        self.register_buffer("frame", simplex_etf(num_classes, hidden, generator))

    def forward(self, features: Tensor) -> Tensor:
        """(R, K) logits, from -scale to scale before dropout, of (R, D) region features."""
        directions = functional.normalize(wide(self.hidden(features)), dim=1)  # 0 stays 0
        return self.scale * (self.dropped(directions) @ self.frame)


class Projection(nn.Module):
    """A 1×1 convolution D -> P without bias, then batch norm; no activation. Applied before pooling.

    The statistics are those of the worker's own batch, over all its pixels, ignored ones too. SyncBN would
    take them over all workers: here a region's features depend on which pictures share its worker. There are
    no running statistics, as the branch never predicts.
    Source: the authors' released `UPerHead_cecol` (P = 128), which has no activation either.
    """

    def __init__(self, channels: int, outputs: int, *, seed: int = 0) -> None:
        super().__init__()
        weight, _ = _linear(outputs, channels, own_generator("projection", seed))
        self.weight = nn.Parameter(weight.detach().view(outputs, channels, 1, 1))
        self.norm_weight = nn.Parameter(torch.ones(outputs))
        self.norm_bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, features: Tensor) -> Tensor:
        """(N, P, h, w) of (N, D, h, w) features, float32 or wider; one pixel alone gives the norm's bias."""
        if not torch.is_autocast_enabled(features.device.type):
            features = features.to(self.weight.dtype)
        projected = wide(functional.conv2d(features, self.weight))
        # torch's, not functional's: that one refuses a single pixel.
        return torch.batch_norm(
            projected, self.norm_weight, self.norm_bias, None, None, True, 0.0, _BATCH_NORM_EPS, True
        )


def _linear(outputs: int, inputs: int, generator: torch.Generator) -> tuple[nn.Parameter, nn.Parameter]:
    """Weight (outputs, inputs) and bias (outputs,), distributed as `nn.Linear` would draw them."""
    bound = 1 / math.sqrt(inputs)
    weight = torch.empty(outputs, inputs).uniform_(-bound, bound, generator=generator)
    bias = torch.empty(outputs).uniform_(-bound, bound, generator=generator)
    return nn.Parameter(weight), nn.Parameter(bias)
