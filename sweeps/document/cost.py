"""What a sweep will take, said before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import Field

from trainer.base.strict_model import StrictModel
from trainer.spec.spec import ExperimentSpec


class Cost(StrictModel):
    """Sums over all trials; nothing is taken off for those that a scheduler stops early."""

    trials: int
    iterations: int
    pictures: int = Field(description="Crops trained on: iterations × batch size.")
    cpus: int = Field(description="The most CPUs that one trial takes.")
    gpus: float = Field(description="The most GPUs that one trial takes.")
    train_seconds: float | None = Field(
        default=None, description="One trial after another; null where nothing like it was measured yet."
    )
    gpu_hours: float | None = None


def cost_of(
    specs: Sequence[ExperimentSpec],
    *,
    trials: int | None = None,
    pixel_seconds: Callable[[ExperimentSpec], float | None] = lambda _: None,
) -> Cost:
    """The cost of `specs`, at least one; scaled to `trials` where they are a sample.

    Args:
        pixel_seconds: seconds for a crop's pixel in an earlier run of the like, None if there was none.
    """
    scale = 1.0 if trials is None else trials / len(specs)
    seconds = [_seconds(spec, pixel_seconds(spec)) for spec in specs]
    known = [value for value in seconds if value is not None]
    whole = len(known) == len(specs)
    hours = [
        value * spec.resources.workers * spec.resources.gpus_per_worker / 3600
        for spec, value in zip(specs, seconds, strict=True)
        if value is not None
    ]
    return Cost(
        trials=len(specs) if trials is None else trials,
        iterations=round(scale * sum(spec.schedule.iterations for spec in specs)),
        pictures=round(scale * sum(spec.schedule.iterations * spec.schedule.batch_size for spec in specs)),
        cpus=max(spec.resources.workers * spec.resources.cpus_per_worker for spec in specs),
        gpus=max(spec.resources.workers * spec.resources.gpus_per_worker for spec in specs),
        train_seconds=scale * sum(known) if whole else None,
        gpu_hours=scale * sum(hours) if whole else None,
    )


def crop_pixels(spec: ExperimentSpec) -> int:
    """Pixels that the training loop sees in all."""
    height, width = spec.schedule.crop_size
    return spec.schedule.iterations * spec.schedule.batch_size * height * width


def _seconds(spec: ExperimentSpec, pixel_seconds: float | None) -> float | None:
    return None if pixel_seconds is None else pixel_seconds * crop_pixels(spec)
