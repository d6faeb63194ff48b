"""Tune's schedulers as a sweep names them."""

from __future__ import annotations

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from sweeps.document.spec import Asha, SweepSpec


def scheduler_of(sweep: SweepSpec) -> TrialScheduler:
    """The sweep's scheduler, which judges by `iteration` of what a trial tells."""
    match sweep.scheduler:
        case Asha() as asha:
            return AsyncHyperBandScheduler(
                time_attr="iteration",
                max_t=sweep.base.schedule.iterations,
                grace_period=asha.grace_iterations or sweep.base.evaluation_interval,
                reduction_factor=asha.reduction_factor,
            )
        case _:
            return FIFOScheduler()
