"""Which failures are followed by another attempt, how many of them, and after which pause: one table."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

_JITTER = (
    0.25  # at most so much is added to a pause, so that what failed together does not come back together
)


class Cause(StrEnum):
    """The class of a failure."""

    MISTAKE = "mistake"  # of the spec, the data or the weights, or a number that is not finite
    MEMORY = "memory"  # it would run out again
    EXCEPTION = "exception"  # anything else that was raised
    WORKER = "worker"  # a process that went without a word, or its storage, while its cluster lived
    CLUSTER = "cluster"  # a node, or the whole cluster, with all that ran there
    CAPACITY = "capacity"  # the cluster has not, and got not, what is asked for
    DISK = "disk"  # no space left


@dataclass(frozen=True)
class Retry:
    """What holds for one class.

    Attributes:
        most: so many attempts of the class may fail, the last one fails the experiment; or a setting's.
        times: what the setting is multiplied by.
        counted: whether it is called the experiment's own failure.
        at_once: how many of the first are followed without a pause.
        pause: before the next attempt, doubled each time up to `longest`.
        since: whether it is counted from the failed attempt's start, or from its end.
    """

    most: int | Literal["max_attempts", "exception_attempts"]
    times: int = 1
    counted: bool = True
    at_once: int = 0
    pause: timedelta = timedelta(0)
    longest: timedelta = timedelta(0)
    since: Literal["start", "end"] = "start"


_SECONDS, _MINUTE = timedelta(seconds=1), timedelta(minutes=1)

# A table of docs/operations.md says the same, and a test holds it to this one.
RETRIES: Mapping[Cause, Retry] = {
    Cause.MISTAKE: Retry(1),
    Cause.MEMORY: Retry(1),
    Cause.EXCEPTION: Retry("exception_attempts", at_once=1, pause=10 * _SECONDS, longest=5 * _MINUTE),
    Cause.WORKER: Retry("max_attempts", at_once=1, pause=10 * _SECONDS, longest=5 * _MINUTE),
    Cause.CLUSTER: Retry(
        "max_attempts", times=10, counted=False, at_once=1, pause=5 * _SECONDS, longest=_MINUTE
    ),
    Cause.CAPACITY: Retry(5, counted=False, pause=_MINUTE, longest=30 * _MINUTE, since="end"),
    Cause.DISK: Retry("max_attempts", pause=_MINUTE, longest=30 * _MINUTE, since="end"),
}

_BY_TYPE = {
    **dict.fromkeys(
        (
            *("SpecError", "DataError", "ModelError", "CheckpointError", "WeightsError", "ReportError"),
            *("ComparisonError", "NonFiniteLoss", "BadPicture"),
        ),
        Cause.MISTAKE,
    ),
    **dict.fromkeys(("OutOfMemoryError", "MemoryError"), Cause.MEMORY),
    **dict.fromkeys(("WorkerLost", "JobLost", "StorageAway"), Cause.WORKER),
    "NodeLost": Cause.CLUSTER,
    "ResourcesUnavailable": Cause.CAPACITY,
    "DiskFull": Cause.DISK,
}
_NO_MEMORY = ("can't allocate memory", "CUDA out of memory")  # torch's words, in a RuntimeError


def cause_of(kind: str, message: str = "", *, cluster_lost: bool = False) -> Cause:
    """The class of an error, by the name of its type; what is not known is an exception.

    `cluster_lost`: the job went with its cluster, whatever it said.
    """
    if cluster_lost:
        return Cause.CLUSTER
    if any(words in message for words in _NO_MEMORY):
        return Cause.MEMORY
    return _BY_TYPE.get(kind, Cause.EXCEPTION)


def failures_by_cause(failed: Iterable[tuple[str, bool]]) -> Counter[Cause]:
    """How many attempts failed of each class, from their error types and whether each was counted."""
    return Counter(cause_of(kind, cluster_lost=kind == "JobLost" and not counted) for kind, counted in failed)


def most_of(cause: Cause, settings: Mapping[str, int]) -> int:
    """How many attempts may fail of this class, by the settings that the table names."""
    rule = RETRIES[cause]
    return rule.times * (rule.most if isinstance(rule.most, int) else settings[rule.most])


def next_try_at(
    cause: Cause, failures: int, job_id: str, *, started: datetime | None, ended: datetime
) -> datetime | None:
    """When the next attempt may begin, after so many `failures` of this class; None: at once.

    The pause grows, and is longer by a part that is drawn from the failed attempt's `job_id`: the same for
    whoever computes it, and another for each row.
    """
    rule = RETRIES[cause]
    doubled = failures - 1 - rule.at_once
    if doubled < 0 or not rule.pause:
        return None
    pause = min(rule.pause * 2 ** min(doubled, 30), rule.longest)
    pause *= 1 + _JITTER * zlib.crc32(job_id.encode()) / 2**32
    since = started if rule.since == "start" and started is not None else ended
    return since + pause if since + pause > ended else None
