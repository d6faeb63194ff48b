"""What pages are given: everything that the JSON routes take, in one value, and who asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from service.api.dependencies import (
    DeletionDep,
    FactsDep,
    MachinesDep,
    OwnerDep,
    QueueDep,
    ReconcilerDep,
    RoomDep,
    SettingsDep,
    StoreDep,
    TablesDep,
    WakeDep,
    WholeQueueDep,
)
from service.api.entry.guard import Caller
from service.api.views.mlflow_facts import RunFacts
from service.api.views.table_cache import TableCache
from service.api.views.waiting import Queue
from service.api.views.whole_queue import WholeQueue
from service.housekeeping.delete import Deletion
from service.reconcile.thread import ReconcilerLoop
from service.shared.settings import Settings
from service.shared.tokens import Scope
from service.store.experiments import Store
from trainer.spec.recipes import Machines


@dataclass(frozen=True)
class Here:
    """One request for a page, and what it is answered from."""

    request: Request
    store: Store
    settings: Settings
    facts: RunFacts
    queue: Queue
    whole_queue: WholeQueue
    room: Callable[[], None]
    wake: Callable[[], None]
    machines: Callable[[object], Machines | None]
    owner: str | None
    tables: TableCache
    deletion: Deletion
    reconciler: ReconcilerLoop


def caller_of(request: Request) -> Caller | None:
    """Whose token came with the request; None where none is asked for, or none came."""
    found: Caller | None = getattr(request.state, "caller", None)
    return found


def may_change(request: Request) -> bool:
    """Whether who asks may submit, cancel and so on: their pages have the buttons, others' have not."""
    settings: Settings = request.app.state.settings
    caller = caller_of(request)
    return not settings.closed if caller is None else caller.scope.includes(Scope.USER)


async def _here(
    request: Request,
    store: StoreDep,
    settings: SettingsDep,
    facts: FactsDep,
    queue: QueueDep,
    whole_queue: WholeQueueDep,
    room: RoomDep,
    wake: WakeDep,
    machines: MachinesDep,
    owner: OwnerDep,
    tables: TablesDep,
    deletion: DeletionDep,
    reconciler: ReconcilerDep,
) -> Here:
    return Here(
        request,
        store,
        settings,
        facts,
        queue,
        whole_queue,
        room,
        wake,
        machines,
        owner,
        tables,
        deletion,
        reconciler,
    )


HereDep = Annotated[Here, Depends(_here)]
