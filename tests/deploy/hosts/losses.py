"""Hosts that go: workers, Ray's head, the service's, and the database's for a while."""

from __future__ import annotations

import time
from contextlib import suppress

from service.client.http import ApiError, ApiUnreachable
from service.shared.states import State
from tests.deploy.hosts.lab import Counts, Lab, let_pass, seconds_until
from tests.deploy.hosts.work import Work, document

_LONGER_THAN_TCP = 40.0  # seconds: the service's connections give a silent database up after 15


def worker_replaced(lab: Lab) -> Counts:
    """One of two hosts is switched off, and a new one takes its address: the next attempt goes on there."""
    work = lab.post(workers=2)
    step = lab.in_midst(work)
    gone = lab.remove_worker("w2")
    begun = time.monotonic()
    dead = lab.node_is_dead(2, begun)
    lab.add_worker("w2", instead_of=gone)
    resumed = lab.goes_on(work, begun)
    counts = lab.checked(work, workers=2)
    assert counts["attempts"] == 2
    return {"at": step, "node_dead_seconds": dead, "resumed_seconds": resumed, **counts}


def head_replaced(lab: Lab, *, workers: int = 1) -> Counts:
    """Ray's head is switched off, and a new one that knows no job takes its address."""
    work = lab.post(workers=workers)
    step = lab.in_midst(work)
    gone = lab.deployment.head
    gone.power_off()
    begun = time.monotonic()
    lab.deployment.start_head(instead_of=gone)
    back = seconds_until(lambda: lab.deployment.cpus() == 2, begun, "both workers have joined the new head")
    resumed = lab.goes_on(work, begun)
    counts = lab.checked(work, workers=workers)
    assert counts["attempts"] == 2
    return {"at": step, "workers_back_seconds": back, "resumed_seconds": resumed, **counts}


def database_cut(lab: Lab) -> Counts:
    """The database's host is cut off: requests are refused with 503, training goes on, all is caught up."""
    running, waiting = lab.post(workers=2), lab.post(workers=2)
    step = lab.in_midst(running)
    host = lab.deployment.database
    host.cut()
    begun = time.monotonic()
    refused = seconds_until(lambda: _refused(running) == 503, begun, "requests are refused")
    answered = time.monotonic()
    assert _refused(running) == 503
    again = round(time.monotonic() - answered, 1)
    assert _post_refused(lab) == 503
    running.reached(min(lab.iterations[2], running.at() + 10))
    let_pass(max(0.0, _LONGER_THAN_TCP - (time.monotonic() - begun)))
    host.heal()
    healed = time.monotonic()
    back = seconds_until(lambda: _refused(running) == 0, healed, "requests are answered")
    counts = [lab.checked(work, workers=2) for work in (running, waiting)]
    assert [each["attempts"] for each in counts] == [1, 1]
    return {
        "at": step,
        "refused_seconds": refused,
        "refused_again_seconds": again,
        "answered_seconds": back,
        **{name: sum(each[name] for each in counts) for name in counts[0]},
    }


def service_taken_over(lab: Lab) -> Counts:
    """The leading service's host is switched off: the other one acts, on what runs and what is posted."""
    second = lab.deployment.start_service("svc2")
    lab.deployment.wait(second, cpus=2)
    running = lab.post(workers=1)
    step = lab.in_midst(running)
    lab.service.power_off()
    begun = time.monotonic()
    lab.service = running.service = second
    posted = lab.post(workers=1)
    acted = seconds_until(lambda: posted.now().state is not State.QUEUED, begun, "the second service acts")
    counts = [lab.checked(work, workers=1) for work in (running, posted)]
    assert [each["attempts"] for each in counts] == [1, 1]
    return {
        "at": step,
        "acted_seconds": acted,
        **{name: sum(each[name] for each in counts) for name in counts[0]},
    }


def _refused(work: Work) -> int:
    """The status that a question is refused with; 0 where it is answered, 1 where nobody speaks at all."""
    try:
        work.now()
    except ApiError as error:
        return error.status
    except ApiUnreachable:
        return 1
    return 0


def _post_refused(lab: Lab) -> int:
    with suppress(ApiUnreachable):
        try:
            Work(lab.deployment, lab.service, document(workers=1, iterations=4))
        except ApiError as error:
            return error.status
    return 0
