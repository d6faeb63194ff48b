"""The error tree. Every error survives pickling, for errors cross process borders."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.base.text import first_names


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a document that was sent.

    `pointer` is an RFC 6901 JSON pointer into that document, `""` for the whole of it.
    """

    pointer: str
    got: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.pointer or '(document)'}: {self.got}; allowed: {self.allowed}"


class RegionRebalanceError(Exception):
    """Root of all errors this project raises on purpose."""


class SpecError(RegionRebalanceError):
    """The document does not describe an experiment; `problems` names every reason."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class DataError(RegionRebalanceError):
    """The data set's files are not what the spec says; the message gives counts and first offenders."""


class ModelError(RegionRebalanceError):
    """The model cannot be built, does not fit its pictures or the branch, or is too large; never tried again.

    `pointer` is the JSON pointer of the part in the spec, `problem` says what is wrong with it.
    """

    def __init__(self, pointer: str, problem: str) -> None:
        super().__init__(f"{pointer}: {problem}")
        self.pointer = pointer
        self.problem = problem

    def __reduce__(self) -> tuple[type[ModelError], tuple[str, str]]:
        return type(self), (self.pointer, self.problem)


class CheckpointError(RegionRebalanceError):
    """A file is no checkpoint to deploy, is damaged, or does not say which model it holds."""


class ComparisonError(RegionRebalanceError):
    """These reports cannot stand in one table."""


class WeightsError(RegionRebalanceError):
    """Pretrained weights: a file is not there, is damaged, holds more than tensors, or is another model's."""


class ReportError(RegionRebalanceError):
    """A report file is missing, cut short, or of another schema."""


class ResourcesUnavailable(RegionRebalanceError):
    """The cluster can never give what the spec asks for."""


class DiskFull(RegionRebalanceError, OSError):
    """The disk, or somebody's share of it, has no room for what was to be written in `directory`.

    An OSError as well: whoever is ready for a write that fails is ready for this one.
    """

    def __init__(self, directory: str) -> None:
        super().__init__(errno.ENOSPC, "no space left", directory)
        self.directory = directory

    def __str__(self) -> str:
        return f"no space left in {self.directory}"

    def __reduce__(self) -> tuple[type[DiskFull], tuple[str]]:
        return type(self), (self.directory,)


class StorageAway(RegionRebalanceError, OSError):
    """What was stored in `directory` is not there now: a file system is not mounted, or does not answer.

    An OSError as well: it comes back by itself, or somebody sees to it.
    """

    def __init__(self, directory: str, why: str) -> None:
        super().__init__(errno.ESTALE, why, directory)
        self.directory = directory
        self.why = why

    def __str__(self) -> str:
        return f"{self.directory}: {self.why}"

    def __reduce__(self) -> tuple[type[StorageAway], tuple[str, str]]:
        return type(self), (self.directory, self.why)


class WorkerLost(RegionRebalanceError):
    """A training worker died without raising: it was killed, say."""


class NodeLost(WorkerLost):
    """A training worker went with its node: nobody's fault, so that it does not count as a failure."""


class NonFiniteLoss(RegionRebalanceError):
    """A loss or gradient became NaN or infinite; the optimiser was not moved."""

    def __init__(
        self,
        iteration: int,
        name: str,
        value: float,
        numbers: Mapping[str, float] | None = None,
        pictures: tuple[str, ...] = (),
    ) -> None:
        """`numbers`: all losses of the step, and its gradient's norm; `pictures`: file names of the batch."""
        told = ", ".join(f"{each} {number:.4g}" for each, number in (numbers or {}).items())
        with_numbers = f" ({told})" if told else ""
        with_pictures = f"; pictures: {first_names(pictures)}" if pictures else ""
        super().__init__(f"{name} is {value} at iteration {iteration}{with_numbers}{with_pictures}")
        self.iteration = iteration
        self.name = name
        self.value = value
        self.numbers = dict(numbers or {})
        self.pictures = pictures

    def __reduce__(self) -> tuple[type[NonFiniteLoss], tuple[Any, ...]]:
        return type(self), (self.iteration, self.name, self.value, self.numbers, self.pictures)


class Cancelled(RegionRebalanceError):
    """Somebody asked the job to stop."""


class Paused(Cancelled):
    """Somebody asked it to pause, and the checkpoint to go on from is written: no end of the experiment."""


class StoppedEarly(Cancelled):
    """The scheduler of a sweep gave the trial up: others are better at the same rung."""
