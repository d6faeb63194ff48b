"""What the routes take that ask for a change of an experiment, and how they end: all in the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from service.api.dependencies import FactsDep, QueueDep, SettingsDep, StoreDep, WakeDep
from service.api.views.experiments import experiment_public
from service.api.views.mlflow_facts import RunFacts
from service.api.views.waiting import Queue
from service.shared.schemas import ExperimentPublic
from service.shared.settings import Settings
from service.store.experiments import Store
from service.store.records import Experiment


@dataclass(frozen=True)
class Changing:
    """One request for a change, and what it is done with."""

    store: Store
    settings: Settings
    facts: RunFacts
    queue: Queue
    wake: Callable[[], None]

    def done(self, row: Experiment) -> ExperimentPublic:
        """The experiment as it is answered, once the reconciler is to look at it."""
        self.wake()
        return experiment_public(row, self.settings, self.facts, self.queue)


async def _changing(
    store: StoreDep, settings: SettingsDep, facts: FactsDep, queue: QueueDep, wake: WakeDep
) -> Changing:
    return Changing(store, settings, facts, queue, wake)


ChangingDep = Annotated[Changing, Depends(_changing)]
