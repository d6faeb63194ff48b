"""Losses, the guard and the words for a step, on CUDA: the claims of `tests/on_device.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests import on_device
from tests.variants import VARIANTS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


@pytest.mark.parametrize("precision", on_device.PRECISIONS)
@pytest.mark.parametrize("name", list(VARIANTS))
def test_losses(name: str, precision: str) -> None:
    """Every loss is the CPU's in float64, within the digits of its precision."""
    on_device.check_losses(VARIANTS[name], "cuda", precision)


@pytest.mark.parametrize("kind", list(on_device.FUSED))
def test_no_wait(kind: str) -> None:
    """No step makes the host wait for the device."""
    on_device.check_no_wait("cuda", kind)


@pytest.mark.parametrize("kind", list(on_device.FUSED))
@pytest.mark.parametrize(("value", "slope"), on_device.BAD_STEPS)
def test_stop(kind: str, value: float, slope: float) -> None:
    """A bad step leaves the weights as they were and ends the run."""
    on_device.check_stop("cuda", kind, value, slope)


@pytest.mark.parametrize("kind", list(on_device.FUSED))
def test_skip(kind: str) -> None:
    """A step that is left out leaves no trace in weights and momentum."""
    on_device.check_skip("cuda", kind)


def test_scaler() -> None:
    """A scaled loss that overflows is scaled by less."""
    on_device.check_scaler("cuda")


@pytest.mark.filterwarnings("ignore:.*deterministic:UserWarning")  # torch's, of what has no such algorithm
def test_words(tmp_path: Path) -> None:
    """channels_last, bf16 and deterministic do what they say."""
    on_device.check_words(tmp_path, gpus=1)
