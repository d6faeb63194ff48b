"""Once stored, an experiment ends in exactly one final state, wherever the service is cut off meanwhile."""

from __future__ import annotations

from contextlib import closing

import pytest

from service.reconcile.cluster import JobStatus
from service.reconcile.stopping.pausing import pause, resume
from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from tests.data_factories import make_report
from tests.unit.service.conftest import START, failed_report, new_row
from tests.unit.service.reconcile.durable.faults import Fault, Instance, When
from trainer.results.report import AttemptReport, write_report

_MOST_ROUNDS = 40
_STRIDE = 23  # calls
_ENDS = {
    "well": State.COMPLETED,
    "lost": State.COMPLETED,
    "bad": State.FAILED,
    "ended": State.CANCELLED,
    "rests": State.COMPLETED,
}


def _accept(here: Instance) -> None:
    """Each is posted under a key of its own until it is answered: as a client does."""
    for name in _ENDS:
        new = new_row(name, idempotency_key=name)
        here.survive(lambda new=new: here.store.create(new, new_tags={}))  # type: ignore[misc]


def _leave(here: Instance, report: AttemptReport) -> None:
    write_report(report, here.settings.layout.attempt(report.experiment, report.attempt).report)


def _act(here: Instance) -> None:
    """What jobs and people do between two passes, once for each job and wish."""
    for job_id, job in list(here.backend.jobs.items()):
        name, attempt = job_id.rsplit("-", 1)[0], int(job_id.rsplit("-", 1)[1])
        if job.status is JobStatus.PENDING:
            here.move(job_id, JobStatus.RUNNING)
        elif job.status is JobStatus.RUNNING:
            _work(here, name, job_id, attempt)
    if here.rounds == 2:
        here.survive(lambda: here.store.request_cancel("ended", now=START))
        here.survive(lambda: pause(here.store, here.settings.layout, "rests", START))
    if here.store.get("rests").state is State.PAUSED:
        here.survive(lambda: resume(here.store, here.settings.layout, "rests", START))


def _work(here: Instance, name: str, job_id: str, attempt: int) -> None:
    """The first job of "lost" is forgotten with its cluster, "bad" fails, "ended" waits to be told."""
    if name == "lost" and attempt == 1:
        del here.backend.jobs[job_id]
    elif name == "bad":
        _leave(here, failed_report(name, attempt=attempt))
        here.move(job_id, JobStatus.FAILED)
    elif name in ("well", "lost") or (name == "rests" and _has_rested(here)):
        _leave(here, make_report(name).model_copy(update={"attempt": attempt}))
        here.move(job_id, JobStatus.SUCCEEDED)


def _has_rested(here: Instance) -> bool:
    return here.rounds > 2 and here.store.get("rests").pause_requested_at is None


def _live(here: Instance) -> None:
    """From the posts to the end of all; at no time are two jobs of one experiment alive."""
    _accept(here)
    while not all(here.store.get(name).state.ended for name in _ENDS):
        assert here.rounds < _MOST_ROUNDS, {name: here.store.get(name).state for name in _ENDS}
        here.round()
        assert all(len(here.alive(name)) <= 1 for name in _ENDS)
        _act(here)


def _check(settings: Settings) -> None:
    """One row and one end each, the right one; what ended stays so in further passes; no job is left."""
    with closing(Store(settings.database)) as store:
        assert {row.id: row.state for row in store.in_states(*State)} == _ENDS
        for name in _ENDS:
            events, _ = store.history(name, after=0, limit=100)
            assert len([each for each in events if each.to_state.ended and each.from_state]) == 1
            assert len([each for each in events if each.from_state is None]) == 1
            records, _ = store.attempts(name)
            assert all(each.ended_at is not None for each in records)


def _empty(settings: Settings) -> None:
    """For the next life."""
    with closing(Store(settings.database)) as store, store._database.writing() as connection:
        for table in ("events", "attempts", "experiments"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    for name in _ENDS:
        settings.layout.experiment(name).delete()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kills", "when"), [(True, "before"), (False, "after")], ids=["killed before", "failed after"]
)
def test_each_call_may_be_the_last(migrated: Settings, kills: bool, when: When) -> None:
    """Killed before a call takes effect, or told that one failed which did: at every second call, some times
    in a life.
    """
    settings, happened = migrated.model_copy(update={"max_running": 10}), 0
    for at in range(int(not kills), _STRIDE, 2):
        fault = Fault(at, _STRIDE, when, kills)
        here = Instance(settings, fault)
        _live(here)
        here.round()
        here.store.close()
        happened += fault.happened
        _check(migrated)
        _empty(migrated)
    assert happened > _STRIDE
