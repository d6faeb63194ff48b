"""Small files of weights, as torch writes them, and the names under which tests publish them."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import torch

from trainer.spec.catalogue.weights_list import PretrainedWeights


def saved(content: Any = None, *, legacy: bool = False) -> bytes:
    """`content`, else two tensors, as torch.save writes them."""
    if content is None:
        content = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.ones(2)}
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def published(
    content: bytes, *urls: str, name: str = "tiny", pinned: bool = True, layout: str = "mmseg"
) -> PretrainedWeights:
    """Weights of this content, as the list would have them."""
    digits = hashlib.sha256(content).hexdigest()[:8] if pinned else None
    return PretrainedWeights(name=name, urls=urls, sha256=digits, layout=layout, source="a test")
