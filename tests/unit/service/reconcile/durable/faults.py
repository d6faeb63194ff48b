"""A service that is cut off at a call of its database or its cluster, and begun again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import wraps
from typing import Any, Literal

from sqlalchemy import Connection

from service.reconcile.cluster import BackendUnreachable, JobStatus
from service.reconcile.reconciler import Reconciler
from service.shared.settings import Settings
from service.store.experiments import Store
from service.store.records import StoreUnavailable
from tests.fakes import FakeBackend
from tests.unit.service.conftest import START

When = Literal["before", "after"]  # the call has taken effect
_CALLS = ("submit", "stop")


class Killed(BaseException):
    """The process is gone: nothing catches it, nothing is cleaned up."""


@dataclass
class Fault:
    """Happens at the call number `at` of those with an effect, and at every one that is `stride` later.

    To be cut off where nothing has an effect is to be cut off before the next call that has one.
    """

    at: int
    stride: int  # more than a pass has, or no pass would come to its end
    when: When
    kills: bool
    calls: int = 0
    happened: int = 0

    def strike(self, when: When, error: type[Exception]) -> None:
        """Raises, where it is time for it."""
        if when == "before":
            self.calls += 1
        if when == self.when and self.calls % self.stride == self.at:
            self.happened += 1
            raise Killed if self.kills else error("a fault")


class FaultyBackend(FakeBackend):
    """A cluster in memory, whose calls with an effect count."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        for name in _CALLS:
            setattr(self, name, self._struck(getattr(super(), name), fault))

    @staticmethod
    def _struck(call: Callable[..., Any], fault: Fault) -> Callable[..., Any]:
        @wraps(call)
        def struck(*arguments: Any) -> Any:
            fault.strike("before", BackendUnreachable)
            answer = call(*arguments)
            fault.strike("after", BackendUnreachable)
            return answer

        return struck


def faulty_store(settings: Settings, fault: Fault) -> Store:
    """A store whose transactions count; one that is struck afterwards has been committed."""
    store = Store(settings.database)
    database = store._database
    writing = database.writing

    @contextmanager
    def struck() -> Iterator[Connection]:
        fault.strike("before", StoreUnavailable)
        with writing() as connection:
            yield connection
        fault.strike("after", StoreUnavailable)

    database.writing = struck  # type: ignore[method-assign]
    return store


@dataclass
class Instance:
    """A database and a cluster that last, and the service over them, which does not."""

    settings: Settings
    fault: Fault
    rounds: int = 0
    backend: FaultyBackend = field(init=False)

    def __post_init__(self) -> None:
        self.backend = FaultyBackend(self.fault)
        self._begin()

    def _begin(self) -> None:
        self.store = faulty_store(self.settings, self.fault)
        self.reconciler = Reconciler(self.store, self.backend, self.settings)

    def survive(self, step: Callable[[], object]) -> None:
        """Does `step` until it comes to its end; who is killed in it is begun again."""
        while True:
            try:
                step()
            except Killed:
                self.store.close()
                self._begin()
            except StoreUnavailable:
                continue
            else:
                return

    def round(self) -> None:
        """A pass, a minute later than the last one."""
        self.rounds += 1
        now = START + timedelta(minutes=self.rounds)
        self.survive(lambda: self.reconciler.run_once(now))

    def alive(self, experiment: str) -> list[str]:
        """Its jobs that have not ended."""
        found = self.backend.jobs.items()
        return [name for name, job in found if name.startswith(f"{experiment}-") and not job.status.over]

    def move(self, job_id: str, status: JobStatus) -> None:
        """What the cluster does by itself."""
        self.backend.jobs[job_id].status = status
