"""The simplex equiangular tight frame: class directions as far apart as they can all be at once.

Letters: K classes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def simplex_etf(num_classes: int, dimension: int, generator: torch.Generator) -> Tensor:
    """(dimension, K) float32: a unit column for each class, every two of them with cosine -1 / (K - 1).

    M = sqrt(K / (K - 1)) U (I - 1 1^T / K), the K columns of U orthonormal, drawn uniformly from `generator`.
    The columns sum to 0. One class alone has nothing to be far from: its column is that of U.

    Raises:
        ValueError: fewer dimensions than classes, which U needs (a rotated simplex would fit into K - 1).

    Source: Papyan, Han & Donoho 2020 (M, up to the rotation); fixed, as the last layer over region means, in
    CeCo (Zhong et al., CVPR 2023), whose released code draws U the same way.
    """
    if not 1 <= num_classes <= dimension:
        raise ValueError(f"a simplex frame of {num_classes} classes does not fit into {dimension} dimensions")
    drawn = torch.randn(dimension, num_classes, dtype=torch.float64, generator=generator)
    q, r = torch.linalg.qr(drawn)
    basis: Tensor = q * r.diagonal().sign()  # the signs make the distribution uniform
    if num_classes > 1:
        basis = math.sqrt(num_classes / (num_classes - 1)) * (basis - basis.mean(dim=1, keepdim=True))
    return basis.float()
