"""The faults, each by name: what it does to a lab, and whether there was anything to do it to."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil

from tests.e2e.instance import Instance
from tests.faults.lab import Lab, beyond_the_lease, let_pass

Fault = Callable[[Lab, random.Random], bool]


def job_killed(lab: Lab, draws: random.Random) -> bool:
    """One job's process goes, its workers perhaps not at once."""
    return _kill_one(lab.jobs(), draws)


def worker_killed(lab: Lab, draws: random.Random) -> bool:
    """One process that trains goes."""
    return _kill_one(lab.workers(), draws)


def driver_killed(lab: Lab, draws: random.Random) -> bool:
    """A sweep's job goes, and its trials with it; its successor finds them where they were."""
    return _kill_one(lab.drivers(), draws)


def trial_killed(lab: Lab, draws: random.Random) -> bool:
    """The process in which a trial trains goes; its sweep begins another attempt at that trial."""
    return _kill_one(lab.trials(), draws)


def ray_killed(lab: Lab, draws: random.Random) -> bool:
    """The head goes with all its jobs, and its successor knows none of them."""
    del draws
    return _kill_all(lab.part("ray"))


def ray_stands_still(lab: Lab, draws: random.Random) -> bool:
    """Nobody answers for a while, and nothing trains; then all goes on."""
    with _stopped(lab.part("ray")) as any_was:
        let_pass(draws.uniform(1, 8))
    return any_was


def service_killed(lab: Lab, draws: random.Random) -> bool:
    """The one that Ray and MLflow were started by; they go on, and its successor adopts them."""
    del draws
    return _again(lab.services[0])


def leader_killed(lab: Lab, draws: random.Random) -> bool:
    """Whoever acts."""
    del draws
    leader = lab.leader()
    return leader is not None and _again(leader)


def leader_stands_still(lab: Lab, draws: random.Random) -> bool:
    """For longer than its lease, as on a host that is cut off; then it goes on, as a follower."""
    leader = lab.leader()
    if leader is None:
        return False
    with _stopped([psutil.Process(leader.pid)]):
        let_pass(beyond_the_lease(draws.random()))
    return True


def mlflow_killed(lab: Lab, draws: random.Random) -> bool:
    """It is started again; what was on its way to it is not there."""
    del draws
    return _kill_all(lab.part("mlflow"))


def mlflow_stands_still(lab: Lab, draws: random.Random) -> bool:
    """It takes connections and answers none."""
    with _stopped(lab.part("mlflow")) as any_was:
        let_pass(draws.uniform(1, 8))
    return any_was


def postgres_killed(lab: Lab, draws: random.Random) -> bool:
    """As by a crash: what was not committed is lost, and what was is read from its log."""
    lab.postgres.crash()
    let_pass(draws.uniform(0, 3))
    lab.postgres.start()
    return True


def postgres_away(lab: Lab, draws: random.Random) -> bool:
    """Shut down, and started again."""
    lab.postgres.stop()
    let_pass(draws.uniform(1, 6))
    lab.postgres.start()
    return True


def connections_cut(lab: Lab, draws: random.Random) -> bool:
    """Those of all services with the database."""
    del draws
    lab.cut_connections()
    return True


FAULTS: dict[str, Fault] = {
    each.__name__: each
    for each in (
        job_killed,
        worker_killed,
        ray_killed,
        ray_stands_still,
        service_killed,
        leader_killed,
        leader_stands_still,
        mlflow_killed,
        mlflow_stands_still,
        postgres_killed,
        postgres_away,
        connections_cut,
    )
}

AMID_SWEEP: dict[str, Fault] = {
    each.__name__: each for each in (driver_killed, trial_killed, ray_killed, leader_killed)
}


def _again(service: Instance) -> bool:
    service.kill()
    service.start()
    return True


def _kill_one(processes: Sequence[psutil.Process], draws: random.Random) -> bool:
    return bool(processes) and _kill_all([draws.choice(processes)])


def _kill_all(processes: Sequence[psutil.Process]) -> bool:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return bool(processes)


@contextmanager
def _stopped(processes: Sequence[psutil.Process]) -> Iterator[bool]:
    """They stand still in the block; whether there were any."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGSTOP)
    try:
        yield bool(processes)
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
