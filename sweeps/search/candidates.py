"""Which trial comes next: a list worked off, or optuna's suggestions."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sweeps.document.expand import Settings, Trial, draw, make_trial, num_draws, points_of
from sweeps.document.json_fields import identity, rounded
from sweeps.document.spec import Axis, SweepSpec
from trainer.base.errors import SpecError
from trainer.results import statistics

if TYPE_CHECKING:
    import optuna

Resolve = Callable[[Trial], Trial]


class Source(Protocol):
    """Trials in the order in which they are begun."""

    @property
    def exhausted(self) -> bool:
        """Nothing comes any more."""

    def next(self) -> Trial | None:
        """The next trial; None while there is none yet."""

    def ended(self, number: int, value: float | None) -> None:
        """Learns how a trial did: the metric at its last evaluation, None where it has none."""


class Listed:
    """Trials that are all known. Those in `first` come first, in their order: they have ended before."""

    def __init__(self, trials: Sequence[Trial], *, first: frozenset[int] = frozenset()) -> None:
        early = [trial for trial in trials if trial.number in first]
        self._waiting = deque([*early, *(trial for trial in trials if trial.number not in first)])

    @property
    def exhausted(self) -> bool:
        return not self._waiting

    def next(self) -> Trial | None:
        return self._waiting.popleft() if self._waiting else None

    def ended(self, number: int, value: float | None) -> None:
        """Changes nothing: the list is what it is."""


@dataclass
class _Draw:
    """One suggestion: a trial for each seed, judged by the mean over them."""

    study: optuna.Study
    suggestion: optuna.trial.Trial | None  # None for one of an earlier driver
    params: dict[str, Any]
    open: set[int] = field(default_factory=set)
    values: list[float] = field(default_factory=list)


class Suggested:
    """Draws by optuna's TPE, `limits.trials` of them for each variant and grid point, which share nothing.

    `known` are the trials that an earlier driver began, with (value,) for those that ended: they are told
    again, so that a restart costs optuna nothing of what it knew. Those in `first`, of these, come first: a
    scheduler has to learn of them, too.
    """

    def __init__(
        self,
        sweep: SweepSpec,
        known: Sequence[tuple[Trial, tuple[float | None] | None]] = (),
        *,
        first: frozenset[int] = frozenset(),
        resolve: Resolve = lambda trial: trial,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._sweep = sweep
        self._resolve = resolve
        self._drawn = [axis for axis in sweep.axes if axis.grid is None]
        self._seeds = sweep.seeds if sweep.seeds is not None else (sweep.base.seed,)
        self._points = points_of(sweep)
        self._waiting = deque(trial for trial, _ in known if trial.number in first)
        self._draws: list[_Draw] = []
        self._of: dict[int, _Draw] = {}
        self._number = 0
        self._begun: set[Hashable] = set()
        groups = _by_settings(known)
        self._studies = [self._study(place + len(groups)) for place in range(len(self._points))]
        self._stream = random.Random(sweep.search_seed + len(groups))
        for trials in groups:
            self._remember(trials)

    @property
    def exhausted(self) -> bool:
        most = num_draws(self._sweep) * len(self._points)
        return not self._waiting and len(self._draws) >= most

    def next(self) -> Trial | None:
        if not self._waiting and not self.exhausted:
            self._ask()
        return self._waiting.popleft() if self._waiting else None

    def ended(self, number: int, value: float | None) -> None:
        draw = self._of[number]
        if number not in draw.open:
            return
        draw.open.discard(number)
        if value is not None:
            draw.values.append(value)
        if not draw.open:
            self._tell(draw)

    def _study(self, offset: int) -> optuna.Study:
        # After a restart the stream of draws must not begin as the first one did.
        sampler = self._optuna.samplers.TPESampler(seed=self._sweep.search_seed + offset)
        directions = self._optuna.study.StudyDirection
        direction = directions.MAXIMIZE if self._sweep.direction == "max" else directions.MINIMIZE
        return self._optuna.create_study(sampler=sampler, direction=direction)

    def _distributions(self) -> dict[str, Any]:
        return {axis.pointer: self._distribution(axis) for axis in self._drawn}

    def _distribution(self, axis: Axis) -> Any:
        kinds = self._optuna.distributions
        if axis.choice is not None:  # by place: optuna takes no lists and no objects
            return kinds.CategoricalDistribution(tuple(range(len(axis.choice))))
        low, high = axis.uniform or axis.loguniform or (0.0, 1.0)
        return kinds.FloatDistribution(low, high, log=axis.loguniform is not None)

    def _ask(self) -> None:
        place = len(self._draws) % len(self._points)
        variant, fixed = self._points[place]
        study = self._studies[place]
        while True:
            suggestion = study.ask(self._distributions())
            settings = {**fixed, **{axis.pointer: _value(axis, suggestion.params) for axis in self._drawn}}
            if identity([variant, settings]) not in self._begun:
                break
            # Each setting runs once, as in a random search: a repeated one gives way to one drawn at random.
            study.tell(suggestion, state=self._optuna.trial.TrialState.FAIL)
            study.enqueue_trial(
                {axis.pointer: _place(axis, draw(axis, self._stream)) for axis in self._drawn}
            )
        drawn = _Draw(study, suggestion, dict(suggestion.params))
        self._draws.append(drawn)
        self._begin(drawn, variant, settings, self._seeds)

    def _begin(self, draw: _Draw, variant: str | None, settings: Settings, seeds: Sequence[int]) -> None:
        ordered = {axis.pointer: settings[axis.pointer] for axis in self._sweep.axes}
        self._begun.add(identity([variant, ordered]))
        for seed in seeds:
            made = make_trial(self._sweep, self._number, variant, ordered, seed)
            if not isinstance(made, Trial):
                raise SpecError(made)
            self._enqueue(draw, self._resolve(made))

    def _enqueue(self, draw: _Draw, trial: Trial) -> None:
        draw.open.add(trial.number)
        self._of[trial.number] = draw
        self._waiting.append(trial)
        self._number = max(self._number, trial.number + 1)

    def _remember(self, trials: Sequence[tuple[Trial, tuple[float | None] | None]]) -> None:
        first = trials[0][0]
        params = {axis.pointer: _place(axis, first.settings[axis.pointer]) for axis in self._drawn}
        draw = _Draw(self._studies[self._point(first)], None, params)
        self._draws.append(draw)
        for trial, ended in trials:
            self._number = max(self._number, trial.number + 1)
            self._of[trial.number] = draw
            if ended is None:
                self._enqueue(draw, trial)
            elif ended[0] is not None:
                draw.values.append(ended[0])
        missing = [seed for seed in self._seeds if seed not in {trial.spec.seed for trial, _ in trials}]
        self._begin(draw, first.variant, first.settings, missing)
        if not draw.open:
            self._tell(draw)

    def _point(self, trial: Trial) -> int:
        fixed = {pointer: trial.settings[pointer] for pointer in self._points[0][1]}
        return self._points.index((trial.variant, fixed))

    def _tell(self, draw: _Draw) -> None:
        mean = statistics.mean(draw.values)
        state = self._optuna.trial.TrialState.FAIL if mean is None else None
        if draw.suggestion is not None:
            draw.study.tell(draw.suggestion, mean, state=state)
        elif mean is not None:
            made = self._optuna.trial.create_trial(
                params=draw.params, distributions=self._distributions(), value=mean
            )
            draw.study.add_trial(made)


def _place(axis: Axis, value: Any) -> Any:
    return value if axis.choice is None else axis.place(value)


def _value(axis: Axis, params: Mapping[str, Any]) -> Any:
    """What runs for what optuna suggests: of a choice it names the place."""
    found = params[axis.pointer]
    low, high = axis.uniform or axis.loguniform or (0.0, 1.0)
    return axis.choice[found] if axis.choice is not None else rounded(found, low, high)


def _by_settings(
    known: Sequence[tuple[Trial, tuple[float | None] | None]],
) -> list[list[tuple[Trial, tuple[float | None] | None]]]:
    groups: dict[tuple[str, int], list[tuple[Trial, tuple[float | None] | None]]] = {}
    met: dict[tuple[str, int], int] = {}
    for trial, ended in known:
        settings: Mapping[str, Any] = trial.settings
        key = json.dumps([trial.variant, dict(settings)], sort_keys=True)
        again = met.get((key, trial.spec.seed), 0)  # the same values may be drawn twice
        met[key, trial.spec.seed] = again + 1
        groups.setdefault((key, again), []).append((trial, ended))
    return list(groups.values())
