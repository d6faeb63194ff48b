"""What a round does and in which order, drawn by its seed: equal seeds, equal rounds."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from tests.faults.table import AMID_SWEEP, FAULTS


@dataclass(frozen=True)
class Size:
    """How much a round posts and does; experiments are of `kinds`, each as likely as it stands there.

    Each sweep meets with all of `AMID_SWEEP`, each pause is followed by a resume.
    """

    experiments: int
    sweeps: int
    cancels: int
    pauses: int
    faults: int
    kinds: tuple[str, ...]


WHOLE = Size(15, 1, 2, 4, 12, ("baseline", "baseline", "region", "region", "softmax", "softmax", "diverges"))
SHORT = Size(2, 0, 0, 1, 3, ("region",))


@dataclass(frozen=True)
class Step:
    """One thing that is done, `after` so many seconds. `what` is a kind of experiment, or a fault.

    A `strike` is a fault while the newest sweep trains.
    """

    does: Literal["post", "sweep", "cancel", "pause", "resume", "fault", "strike"]
    what: str = ""
    after: float = 0.0

    def __str__(self) -> str:
        return f"{self.after:.1f} s, {self.does} {self.what}".rstrip()


def drawn(seed: int, size: Size) -> list[Step]:
    """The steps of a round: what trains is posted first, the rest comes in between the faults."""
    draws = random.Random(seed)
    posts = [Step("post", draws.choice(size.kinds)) for _ in range(size.experiments)]
    first, later = posts[:2], posts[2:]
    strikes = [Step("fault", name, round(_gap(draws), 1)) for name in _names(draws, size.faults)]
    asked = [Step("cancel", after=round(draws.uniform(0, 3), 1)) for _ in range(size.cancels)]
    pauses = [Step("pause", after=round(draws.uniform(0, 3), 1)) for _ in range(size.pauses)]
    mixed = [*later, *[Step("sweep")] * size.sweeps, *strikes, *asked, *pauses]
    draws.shuffle(mixed)
    steps = [*first, *_with_resumes(draws, mixed)]
    return [each for step in steps for each in (_struck(draws, step) if step.does == "sweep" else [step])]


def _with_resumes(draws: random.Random, steps: list[Step]) -> list[Step]:
    """Behind each pause a resume, with other steps between where there are any."""
    for place in reversed([at for at, step in enumerate(steps) if step.does == "pause"]):
        behind = draws.randint(min(place + 2, len(steps)), len(steps))
        steps.insert(behind, Step("resume", after=round(draws.uniform(0, 3), 1)))
    return steps


def _struck(draws: random.Random, sweep: Step) -> list[Step]:
    """A sweep, and what is done to it while it trains; last what takes longest."""
    names = sorted(draws.sample(sorted(AMID_SWEEP), len(AMID_SWEEP)), key="leader_killed".__eq__)
    return [sweep, *[Step("strike", name) for name in names]]


def _names(draws: random.Random, number: int) -> list[str]:
    """Each fault as often as every other one, as far as the number allows."""
    rounds, rest = divmod(number, len(FAULTS))
    return [*FAULTS] * rounds + draws.sample(sorted(FAULTS), rest)


def _gap(draws: random.Random) -> float:
    """Seconds since the last one was dealt with; a quarter come upon what the last one left."""
    return 0.0 if draws.random() < 0.25 else draws.uniform(1, 9)
