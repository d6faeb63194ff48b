"""One round: everything is posted and disturbed as its seed has it, then looked at; and what is counted.

FAULTS_ROUNDS=4 makes a campaign of the rounds FAULTS_SEED, FAULTS_SEED + 1, …; FAULTS_WRITE=FILE keeps what
was counted.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from typing import Any

import httpx

from service.client import RebalanceClient
from service.client.http import ApiError
from tests.e2e.instance import until
from tests.faults.invariants import (
    END_SECONDS,
    check_experiment,
    check_nothing_left,
    check_rows,
    check_sweep,
)
from tests.faults.lab import ANSWER_SECONDS, Lab, let_pass
from tests.faults.schedule import SHORT, WHOLE, Step, drawn
from tests.faults.table import FAULTS
from tests.faults.work import KINDS, SWEEP, TRIALS, Posted
from tests.kept import keep_in

ROUNDS = int(os.environ.get("FAULTS_ROUNDS") or 0)  # none is the short form
SEED = int(os.environ.get("FAULTS_SEED") or (0 if ROUNDS else 43))  # of the short form: one of each kind
SIZE = WHOLE if ROUNDS else SHORT


class Undisturbed:
    """What each kind of experiment and the sweep give where nothing happens, each run once."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._experiments: dict[str, Posted] = {}
        self._sweep: str | None = None

    def run(self, kinds: set[str], *, sweep: bool) -> None:
        """Side by side."""
        for kind in sorted(kinds - self._experiments.keys()):
            self._experiments[kind] = Posted(self._lab, self._lab.post(KINDS[kind].document))
        if sweep and self._sweep is None:
            self._sweep = self._lab.post_sweep(SWEEP)
        all_ended(self._lab)

    def experiment(self, kind: str) -> Posted:
        return self._experiments[kind]

    @property
    def sweep(self) -> str:
        assert self._sweep is not None
        return self._sweep

    @property
    def accepted(self) -> dict[str, int]:
        """Rows by table."""
        sweeps = int(self._sweep is not None)
        return {"experiments": len(self._experiments) + TRIALS * sweeps, "sweeps": sweeps}


def all_ended(lab: Lab) -> None:
    """Waits until nothing is left to be done."""

    def ended() -> bool:
        experiments = lab.ask(lambda client: list(client.experiments()))
        sweeps = lab.ask(lambda client: list(client.sweeps()))
        return all(each.state.ended for each in (*experiments, *sweeps))

    until(ended, seconds=END_SECONDS, what="everything has ended")


class Round:
    """Posts, disturbs and checks."""

    def __init__(self, lab: Lab, undisturbed: Undisturbed, seed: int) -> None:
        self._lab = lab
        self._undisturbed = undisturbed
        self._draws = random.Random(-seed - 1)  # of what faults draw; the schedule has its own
        self._steps = drawn(seed, SIZE)
        self._posted: list[tuple[Posted, str]] = []
        self._sweeps: list[str] = []
        self._cancelled: set[str] = set()
        self._counts: Counter[str] = Counter()
        kinds = {each.what for each in self._steps if each.does == "post"}
        undisturbed.run(kinds, sweep=SIZE.sweeps > 0)

    def run(self, before: dict[str, int]) -> dict[str, int]:
        """What was done and what it cost. `before`: rows of earlier rounds, which are brought up to date."""
        for step in self._steps:
            let_pass(step.after)
            began = time.monotonic()
            self._do(step)
            print(f"  {step}: took {time.monotonic() - began:.1f} s", flush=True)
        self._lab.whole()
        all_ended(self._lab)
        for work, kind in self._posted:
            may = work.id in self._cancelled
            found = check_experiment(work, kind, self._undisturbed.experiment(kind), may_be_cancelled=may)
            self._counts += found
        for sweep in self._sweeps:
            self._counts += check_sweep(self._lab, sweep, self._undisturbed.sweep)
        before["experiments"] += len(self._posted) + TRIALS * len(self._sweeps)
        before["sweeps"] += len(self._sweeps)
        check_rows(self._lab, before)
        check_nothing_left(self._lab)
        return {"experiments": len(self._posted), "sweeps": len(self._sweeps), **sorted_counts(self._counts)}

    def _do(self, step: Step) -> None:
        match step.does:
            case "post":
                work = Posted(self._lab, self._lab.post(KINDS[step.what].document))
                self._posted.append((work, step.what))
            case "sweep":
                self._sweeps.append(self._lab.post_sweep(SWEEP))
            case "cancel":
                work, _ = self._draws.choice(self._posted)
                self._cancelled.add(work.id)
                self._lab.ask(lambda client: _cancel(client, work.id))
            case "fault":
                fault = FAULTS[step.what]
                until(
                    lambda: fault(self._lab, self._draws),
                    seconds=ANSWER_SECONDS,
                    what=f"{step.what}: something to do it to",
                )
                self._counts[step.what] += 1


def _cancel(client: RebalanceClient, identifier: str) -> None:
    """One that has ended meanwhile is left as it is."""
    try:
        client.cancel(identifier)
    except ApiError as error:
        if error.status != httpx.codes.CONFLICT:
            raise


def sorted_counts(counts: Counter[str]) -> dict[str, int]:
    """By name."""
    return dict(sorted(counts.items()))


def keep(seed: int, counts: dict[str, Any]) -> None:
    """Prints the counts, and puts them and the sum of all rounds into the file that a campaign asks for."""
    print(json.dumps({str(seed): counts}), flush=True)

    def change(kept: dict[str, Any]) -> None:
        rounds = kept.get("campaign", {}).get("rounds", {}) | {str(seed): counts}
        total: Counter[str] = Counter()
        for each in rounds.values():
            total += Counter(each)
        kept["campaign"] = {"total": sorted_counts(total), "rounds": rounds}

    keep_in("FAULTS_WRITE", change)


def reproduction(seed: int) -> str:
    """The line that runs the round again."""
    rounds = "FAULTS_ROUNDS=1 " if ROUNDS else ""
    return f"{rounds}FAULTS_SEED={seed} python -m pytest -s tests/faults"
