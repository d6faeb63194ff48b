"""What an experiment takes from the cluster."""

from __future__ import annotations

from pydantic import Field

from trainer.base.strict_model import StrictModel


class Resources(StrictModel):
    """What the job's workers take from the cluster."""

    workers: int = Field(default=1, ge=1, le=1024)
    gpus_per_worker: float = Field(default=0, ge=0, le=1, multiple_of=0.125)
    cpus_per_worker: int = Field(default=1, ge=1, le=256, description="Also torch's threads in a worker.")
