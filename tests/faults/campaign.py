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

from tests.e2e.instance import until
from tests.faults.asking import Asking
from tests.faults.invariants import (
    END_SECONDS,
    check_experiment,
    check_nothing_left,
    check_rows,
    check_sweep,
)
from tests.faults.lab import ANSWER_SECONDS, Lab, let_pass
from tests.faults.schedule import SHORT, WHOLE, Step, drawn
from tests.faults.table import AMID_SWEEP, FAULTS, Fault
from tests.faults.work import KINDS, SWEEP, TRIAL_ITERATIONS, TRIALS, Posted, trained_of
from tests.kept import keep_in

ROUNDS = int(os.environ.get("FAULTS_ROUNDS") or 0)  # none is the short form
SEED = int(os.environ.get("FAULTS_SEED") or (0 if ROUNDS else 1161))  # of the short form: one of each kind
SIZE = WHOLE if ROUNDS else SHORT
_BETWEEN_STRIKES, _LEFT = (5, 60), 80  # iterations of all trials of a sweep; so many are to be left


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
        self._asking = Asking(lab, self._draws)
        self._counts: Counter[str] = Counter()
        self._to_post = [each.what for each in self._steps if each.does == "post"]
        undisturbed.run(set(self._to_post), sweep=SIZE.sweeps > 0)

    def run(self, before: dict[str, int]) -> dict[str, int]:
        """What was done and what it cost. `before`: rows of earlier rounds, which are brought up to date."""
        for step in self._steps:
            let_pass(step.after)
            began = time.monotonic()
            self._do(step)
            print(f"  {step}: took {time.monotonic() - began:.1f} s", flush=True)
        self._lab.whole()
        self._asking.resume_all()
        all_ended(self._lab)
        for work, kind in self._posted:
            may = work.id in self._asking.cancelled
            found = check_experiment(work, kind, self._undisturbed.experiment(kind), may_be_cancelled=may)
            self._counts += found
        for sweep in self._sweeps:
            self._counts += check_sweep(self._lab, sweep, self._undisturbed.sweep)
        self._check_struck()
        before["experiments"] += len(self._posted) + TRIALS * len(self._sweeps)
        before["sweeps"] += len(self._sweeps)
        check_rows(self._lab, before)
        check_nothing_left(self._lab)
        return {"experiments": len(self._posted), "sweeps": len(self._sweeps), **sorted_counts(self._counts)}

    def _do(self, step: Step) -> None:
        match step.does:
            case "post":
                if self._to_post:
                    self._post()
            case "sweep":
                self._sweeps.append(self._lab.post_sweep(SWEEP))
            case "cancel":
                self._asking.cancel(self._works)
            case "pause":
                until(
                    lambda: self._asking.pause(self._works),
                    seconds=ANSWER_SECONDS,
                    what="one runs that may be paused",
                )
            case "resume":
                self._asking.resume()
            case "fault":
                self._strike(FAULTS[step.what])
                self._counts[step.what] += 1
            case "strike":
                self._sweep_trains_on()
                self._strike(AMID_SWEEP[step.what])
                self._counts[f"{step.what}_amid_sweep"] += 1

    def _post(self) -> None:
        kind = self._to_post.pop(0)
        self._posted.append((Posted(self._lab, self._lab.post(KINDS[kind].document)), kind))

    def _strike(self, fault: Fault) -> None:
        """As soon as there is something to do it to. Where all that was posted is done, the next comes."""

        def struck() -> bool:
            if not self._asking.any_is_to_run():
                self._to_post = self._to_post or [self._posted[0][1]]
                self._post()
            return fault(self._lab, self._draws)

        until(
            struck,
            seconds=ANSWER_SECONDS,
            what=f"{fault.__name__}: something to do it to",
        )

    def _sweep_trains_on(self) -> None:
        """Waits until the trials of the newest sweep have trained for a while since now.

        On a busy machine it may have come to its end during the last strike: then another is posted.
        """
        most = TRIALS * TRIAL_ITERATIONS - _LEFT
        wanted = trained_of(self._lab, self._sweeps[-1]) + self._draws.randint(*_BETWEEN_STRIKES)
        if wanted > most:
            self._sweeps.append(self._lab.post_sweep(SWEEP))
            wanted = _BETWEEN_STRIKES[0]
        until(
            lambda: trained_of(self._lab, self._sweeps[-1]) >= wanted,
            seconds=ANSWER_SECONDS,
            what=f"the trials of {self._sweeps[-1]} have trained {wanted} iterations",
        )

    def _check_struck(self) -> None:
        """The strikes met sweeps: each job that was killed has cost an attempt, and so has a trial."""
        found = self._counts
        assert found["sweep_attempts"] >= len(self._sweeps) + found["driver_killed_amid_sweep"], found
        if found["trial_killed_amid_sweep"]:
            assert found["trial_attempts"] > TRIALS * len(self._sweeps), found

    @property
    def _works(self) -> list[Posted]:
        return [work for work, _ in self._posted]


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
