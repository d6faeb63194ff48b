"""What a person should see first of many runs: which columns, which charts, of which runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainer.spec.evaluation import ScoreName
from trainer.tracking.content.overlays import KEYS

SHOWN: tuple[ScoreName, ...] = ("mIoU", "tail_mIoU")


@dataclass(frozen=True)
class View:
    """Charts and columns, kept under `key` in the group of the runs. Names are those of MLflow.

    `runs` is a filter in MLflow's words, empty for all. MLflow adds a chart for each other metric.
    """

    key: str
    title: str
    runs: str = ""
    params: Sequence[str] = ()  # columns, and the axes of parallel coordinates
    metrics: Sequence[str] = SHOWN  # columns and bars
    images: Sequence[str] = KEYS
    curves: Sequence[str] = ("train/loss", "eval/mIoU")


def parameter_of(pointer: str) -> str:
    """The run's parameter that a JSON pointer into its spec is: /method/lambda is method.lambda."""
    return pointer.removeprefix("/").replace("/", ".")
