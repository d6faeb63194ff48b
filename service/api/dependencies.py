"""What routes are given: shorthands for the objects that the lifespan put into app.state.

All are `async`: a plain function would be sent to a thread and back, once for each, in every request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, cast

from fastapi import Depends, Request

from service.api.entry.queue_room import QueueRoom
from service.api.fastapi_compat import query_parameters
from service.api.requests import BadParameter
from service.api.views.mlflow_facts import RunFacts
from service.api.views.report_cache import ReportCache
from service.api.views.table_cache import TableCache
from service.api.views.waiting import Queue
from service.api.views.whole_queue import WholeQueue
from service.api.watching.parts import Parts
from service.housekeeping.delete import Deletion
from service.reconcile.cluster import Backend, BackendUnreachable
from service.reconcile.thread import ReconcilerLoop
from service.scheduling.policy import PolicyFile
from service.shared.settings import Settings
from service.store.experiments import Store
from trainer.base.errors import Problem
from trainer.base.pointers import escape
from trainer.spec.defaults import leaves_resources
from trainer.spec.recipes import Machines


async def _store(request: Request) -> Store:
    return cast(Store, request.app.state.store)


async def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


async def _reconciler(request: Request) -> ReconcilerLoop:
    return cast(ReconcilerLoop, request.app.state.reconciler)


async def _parts(request: Request) -> Parts:
    return cast(Parts, request.app.state.parts)


async def _facts(request: Request) -> RunFacts:
    return cast(RunFacts, request.app.state.run_facts)


async def _queue(request: Request) -> Queue:
    return cast(Queue, request.app.state.queue)


async def _tables(request: Request) -> TableCache:
    return cast(TableCache, request.app.state.tables)


async def _reports(request: Request) -> ReportCache:
    return cast(ReportCache, request.app.state.reports)


async def _machines(request: Request) -> Callable[[object], Machines | None]:
    """What the cluster has, asked only for a document that leaves its resources to that."""
    backend = cast(Backend, request.app.state.backend)

    def of(document: object) -> Machines | None:
        if not leaves_resources(document):
            return None
        try:
            return backend.machines()
        except BackendUnreachable:
            return None

    return of


async def _room(request: Request) -> Callable[[], None]:
    return cast(QueueRoom, request.app.state.room).check


async def _owner(request: Request) -> str | None:
    """Whose what is stored will be: the name of the token that came with the request."""
    caller = getattr(request.state, "caller", None)
    return None if caller is None else str(caller.name)


async def _whole_queue(request: Request) -> WholeQueue:
    return cast(WholeQueue, request.app.state.whole_queue)


async def _deletion(request: Request) -> Deletion:
    return cast(Deletion, request.app.state.deletion)


async def _policy(request: Request) -> PolicyFile:
    return cast(PolicyFile, request.app.state.policy)


async def _wake(request: Request) -> Callable[[], None]:
    return cast(ReconcilerLoop, request.app.state.reconciler).wake


async def known_parameters(request: Request) -> None:
    """Refuses a query parameter that the route does not have: misspelt, it would do nothing, silently.

    Raises:
        BadParameter: naming each, and those that there are.
    """
    allowed = query_parameters(request)
    unknown = [name for name in request.query_params if name not in allowed]
    if unknown:
        known = ", ".join(allowed) or "no parameters"
        raise BadParameter(
            tuple(Problem(f"/query/{escape(name[:80])}", "is no parameter here", known) for name in unknown)
        )


StoreDep = Annotated[Store, Depends(_store)]
SettingsDep = Annotated[Settings, Depends(_settings)]
TablesDep = Annotated[TableCache, Depends(_tables)]
ReportsDep = Annotated[ReportCache, Depends(_reports)]
ReconcilerDep = Annotated[ReconcilerLoop, Depends(_reconciler)]
MachinesDep = Annotated[Callable[[object], Machines | None], Depends(_machines)]
PartsDep = Annotated[Parts, Depends(_parts)]
FactsDep = Annotated[RunFacts, Depends(_facts)]
QueueDep = Annotated[Queue, Depends(_queue)]
WholeQueueDep = Annotated[WholeQueue, Depends(_whole_queue)]
OwnerDep = Annotated[str | None, Depends(_owner)]
RoomDep = Annotated[Callable[[], None], Depends(_room)]
DeletionDep = Annotated[Deletion, Depends(_deletion)]
PolicyDep = Annotated[PolicyFile, Depends(_policy)]
WakeDep = Annotated[Callable[[], None], Depends(_wake)]
