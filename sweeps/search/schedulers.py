"""Tune's schedulers as a sweep names them, and a HyperBand that waits until there is something to compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, HyperBandScheduler, TrialScheduler
from ray.tune.schedulers.hyperband import _Bracket

from sweeps.document.spec import Asha, Hyperband, SweepSpec


def scheduler_of(sweep: SweepSpec, *, more: Callable[[], bool]) -> TrialScheduler:
    """The sweep's scheduler. ASHA counts iterations, HyperBand evaluations: its rungs are powers of a number.

    Args:
        more: whether trials may still come.
    """
    interval = sweep.base.evaluation.interval or sweep.base.schedule.iterations
    most = sweep.base.schedule.iterations
    match sweep.scheduler:
        case Asha() as asha:
            return AsyncHyperBandScheduler(
                time_attr="iteration",
                max_t=most,
                grace_period=asha.grace_iterations or interval,
                reduction_factor=asha.reduction_factor,
            )
        case Hyperband() as hyperband:
            return PatientHyperBand(
                more=more,
                time_attr="evaluation",
                max_t=max(1, -(-most // interval)),
                reduction_factor=hyperband.reduction_factor,
            )
        case _:
            return FIFOScheduler()


class _OnceFilled(_Bracket):  # type: ignore[misc]
    """A bracket that is full once as many trials have come as it takes, also if some have ended since."""

    def filled(self) -> bool:
        return bool(len(self._all_trials) >= self._n0)


class PatientHyperBand(HyperBandScheduler):  # type: ignore[misc]
    """Tune's HyperBand, but a bracket is halved for the first time only when it is full, or no trial comes.

    Tune halves as soon as those that have come so far are done: where few run at once, each is the best
    of one.
    """

    def __init__(self, *, more: Callable[[], bool], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._more = more
        self._begun: set[int] = set()

    def _create_bracket(self, s: int) -> Any:
        bracket = super()._create_bracket(s)
        bracket.__class__ = _OnceFilled
        return bracket

    def _process_bracket(self, tune_controller: Any, bracket: Any) -> str:
        filling = bracket is self._state["bracket"] and not bracket.filled() and self._more()
        if id(bracket) not in self._begun and filling:
            return str(TrialScheduler.PAUSE)
        self._begun.add(id(bracket))
        return str(super()._process_bracket(tune_controller, bracket))

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """As Tune's; before that, a bracket that will never be full is halved as it is."""
        bracket = self._state["bracket"]
        if bracket is not None and id(bracket) not in self._begun and not self._more():
            trials = bracket.current_trials()
            if trials and bracket.cur_iter_done() and all(one.status == Trial.PAUSED for one in trials):
                self._process_bracket(tune_controller, bracket)
        return super().choose_trial_to_run(tune_controller)
