"""What `tests/gpu` claims of CUDA, claimed of the CPU: see `tests/on_device.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import on_device
from tests.variants import VARIANTS


@pytest.mark.parametrize("precision", on_device.PRECISIONS)
@pytest.mark.parametrize("name", list(VARIANTS))
def test_losses(name: str, precision: str) -> None:
    """Every loss is that of float64, within the digits of its precision."""
    on_device.check_losses(VARIANTS[name], "cpu", precision)


@pytest.mark.parametrize("kind", list(on_device.FUSED))
def test_no_wait(kind: str) -> None:
    """A step moves the weights of a fused optimiser; on a CPU nothing is waited for."""
    on_device.check_no_wait("cpu", kind)


@pytest.mark.parametrize("kind", list(on_device.FUSED))
@pytest.mark.parametrize(("value", "slope"), on_device.BAD_STEPS)
def test_stop(kind: str, value: float, slope: float) -> None:
    """A bad step leaves the weights of a fused optimiser as they were, and ends the run."""
    on_device.check_stop("cpu", kind, value, slope)


@pytest.mark.parametrize("kind", list(on_device.FUSED))
def test_skip(kind: str) -> None:
    """A step that is left out leaves no trace in weights and momentum."""
    on_device.check_skip("cpu", kind)


def test_scaler() -> None:
    """A scaled loss that overflows is scaled by less."""
    on_device.check_scaler("cpu")


@pytest.mark.slow
def test_words(tmp_path: Path) -> None:
    """channels_last, bf16 and deterministic do what they say."""
    on_device.check_words(tmp_path, gpus=0)
