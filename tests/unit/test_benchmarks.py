"""Benchmarks that need no other files run, and what they compare is the same work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SECONDS = 600  # on a busy machine
_ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # threads would wait for each other on a busy machine


def printed(repository: Path, name: str, *words: str, **variables: str) -> dict[str, Any]:
    """What a benchmark prints when it is run small."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--json", "--small", *words],
        cwd=repository,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_training(repository: Path) -> None:
    """Small, it prints all figures with a target; ours and mmsegmentation's runner begin with one loss."""
    result = printed(repository, "training", **_ONE_THREAD)
    for name in ("float32_speed_ratio", "branch_time_share", "branch_memory_share"):
        assert isinstance(result[name], float)
    assert result["bf16"].startswith("not measured: ") == (result["bf16_speed_ratio"] is None)
    for subject in ("deeplabv3plus_r50", "upernet_swin_t"):
        losses = result[subject]["first_loss"]
        ours = next(name for name in ("float32", "bf16") if name in losses)
        tolerance = 1e-5 if ours == "float32" else 0.02
        assert losses[ours] == pytest.approx(losses["mmseg"], rel=tolerance)


@pytest.mark.slow
def test_evaluation(repository: Path) -> None:
    """Small, it prints all figures with a target, for both kinds and numbers of threads; labels are alike."""
    words = ("--repeats", "1", "--merges", "1", "--model", "small")
    result = printed(repository, "evaluation", *words, **_ONE_THREAD)
    for kind in ("blobs", "noise"):
        for threads in (1, 2):
            found = result[kind][f"threads_{threads}"]
            for name in ("time_ratio", "memory_ratio"):
                assert isinstance(found[name], float)
                assert isinstance(found[f"multi_scale_{name}"], float)
            assert max(found["differing"], found["multi_scale_differing"]) <= 1e-3
    assert result["whole_model"]["small"].keys() == {"single_scale", "multi_scale"}


@pytest.mark.slow
def test_report(repository: Path) -> None:
    """Small, it prints what the target is of, and how it grows in both directions."""
    result = printed(repository, "report")
    assert (result["classes"], result["experiments"]) == (5, 3)
    assert result["megabytes"] < 8
    assert result["by_classes"].keys() == {"3", "5"}
    assert result["by_experiments"].keys() == {"2", "3"}


@pytest.mark.slow
def test_service(repository: Path) -> None:
    """Small, it prints all figures with a target, for each database, and MLflow's beside them."""
    result = printed(repository, "service")
    assert "sqlite" in result["posts_per_second"]
    for name, found in result["posts_per_second"].items():
        assert found["answered"] == 20
        for figures in (result["read_p99_ms"][name], result["list_p99_ms"][name]):
            assert figures.keys() == {"60", "120"}
        assert result["reconciler_pass_seconds"][name]["median"] > 0
    assert result["open_streams"]["delivered"] == result["open_streams"]["open"] == 10
    assert result["mlflow_posts_per_second"] > 0
    assert result["mlflow_read_p99_ms"].keys() == result["mlflow_list_p99_ms"].keys() == {"60", "120"}


def test_scheduling(repository: Path) -> None:
    """Small, it prints all figures with a target, and the cluster is full."""
    result = printed(repository, "scheduling")
    assert result["utilisation"] > 0.95
    assert result["full_queue_ms"] > 0
    assert set(result["waiting"]) == {"low", "normal", "high"}
