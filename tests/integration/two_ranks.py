"""Two processes that work together: those that take the steps of data_parallel_rank.py, beside one alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from tests.integration import data_parallel_rank
from tests.integration.data_parallel_rank import Step

SECONDS = 120


def run_two(script: str, repository: Path, *more: str) -> None:
    """Runs `python SCRIPT RANK MORE…` for both ranks, to their end; neither may fail."""
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    ranks = [
        subprocess.Popen(
            [sys.executable, script, str(rank), *more],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        errors = [rank.communicate(timeout=SECONDS)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
    assert [rank.returncode for rank in ranks] == [0, 0], errors


def two_ranks(directory: Path, repository: Path, *more: str) -> list[Step]:
    """The step of each case, as two processes take it; `more` arguments of the script."""
    files = [str(directory / name) for name in ("rendezvous", "result.pt")]
    run_two(str(data_parallel_rank.__file__), repository, *files, *more)
    return [Step(*one) for one in torch.load(files[-1], map_location="cpu")]


def assert_one_step(halves: Step, whole: Step, *, tolerance: float) -> None:
    """Loss and gradients are the same, within a share of the loss, or of a parameter's largest gradient."""
    torch.testing.assert_close(halves.loss, whole.loss, rtol=tolerance, atol=0)
    assert set(halves.gradients) == set(whole.gradients)
    assert any(name.endswith("hidden_weight") for name in whole.gradients)
    for name, wanted in whole.gradients.items():
        difference = (halves.gradients[name] - wanted).abs().max()
        assert difference <= tolerance * wanted.abs().max(), name
        assert wanted.any(), name
