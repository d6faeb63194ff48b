"""A training that begins where another one ended: the other's momentum, and rates of its own."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

_RATES = ("param_groups", "base_param_settings")  # of mmengine's wrapper; all else in a state is by parameter


def begin_with(runner: Any, optimizer: Mapping[str, Any], iteration: int) -> None:
    """Puts the state of another training's optimiser into a runner that has not begun.

    The rates are the runner's own: those that its schedule has after `iteration` steps, reached step by step,
    so that they are the same bits as if it had taken these steps itself.

    Args:
        optimizer: as the other's wrapper gave it, with what its guard and scaler knew.
    """
    with warnings.catch_warnings():
        # mmengine takes a schedule that moves without the optimiser for a mistake.
        warnings.filterwarnings("ignore", message="Detected call of `scheduler.step", category=UserWarning)
        for _ in range(iteration):
            for scheduler in runner.param_schedulers:
                scheduler.step()
    wrapper = runner.optim_wrapper
    own = wrapper.state_dict()
    wrapper.load_state_dict({**optimizer, **{name: own[name] for name in _RATES if name in own}})
