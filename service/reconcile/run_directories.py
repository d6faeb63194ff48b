"""Run directories, as the service reads them: reports, logs, curves. It writes spec.json, and a log
where the job wrote none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.store.records import Followup
from trainer.base.errors import ReportError
from trainer.results.followup import FollowupReport, read_followup_report
from trainer.results.report import AttemptReport, read_report
from trainer.storage.directories import AttemptDir
from trainer.storage.layout import Storage
from trainer.storage.port import StoredFile
from trainer.storage.sink import last_record, whole_record

_CHUNK_BYTES = 256 * 1024


def keep_log(here: AttemptDir, text: str) -> None:
    """Keeps what the job's command printed as the log that it did not write itself."""
    here.log.write(text)


def write_spec(here: AttemptDir, canonical_spec: str) -> None:
    """Writes what the job is to do, whole. Raises OSError.

    Its being there says that a submit of this attempt was tried.
    """
    here.spec.write(canonical_spec + "\n")


def report_of(storage: Storage, experiment: str, attempt: int) -> AttemptReport | None:
    """The attempt's report, None while there is none.

    Raises:
        ReportError: the file is no report, or that of another attempt.
    """
    report = read_report(storage.attempt(experiment, attempt).report)
    if report is not None and (report.experiment, report.attempt) != (experiment, attempt):
        raise ReportError(f"report.json is of experiment {report.experiment}, attempt {report.attempt}")
    return report


def followup_report_of(storage: Storage, row: Followup, attempt: int) -> FollowupReport | None:
    """The same of an attempt at a follow-up."""
    report = read_followup_report(storage.followup(row.experiment_id, row.id).attempt(attempt).report)
    if report is not None and (report.followup, report.attempt) != (row.id, attempt):
        raise ReportError(f"report.json is of follow-up {report.followup}, attempt {report.attempt}")
    return report


# ---------------------------------------------------------------- logs


@dataclass(frozen=True)
class LogSlice:
    """The bytes of several files in a row from `offset` up to `end`, as they stood when asked."""

    files: tuple[tuple[StoredFile, int], ...]  # with the size to read up to
    offset: int

    @property
    def end(self) -> int:
        return max(self.offset, sum(size for _, size in self.files))

    def chunks(self) -> Iterator[bytes]:
        """The bytes, in pieces."""
        skip = self.offset
        for file, size in self.files:
            if skip < size:
                yield from _read(file, skip, size)
            skip = max(0, skip - size)


def log_slice(attempts: Iterable[AttemptDir], offset: int) -> LogSlice:
    """The logs of `attempts` in a row, from byte `offset` on, never ending inside a character."""
    found = []
    for attempt in attempts:
        file = attempt.log
        size = file.size()
        found.append((file, size - _cut_character(file, size)))
    return LogSlice(tuple(found), offset)


def _read(file: StoredFile, start: int, stop: int) -> Iterator[bytes]:
    while start < stop and (chunk := file.read_bytes(start, min(start + _CHUNK_BYTES, stop))):
        start += len(chunk)
        yield chunk


def _cut_character(file: StoredFile, size: int) -> int:
    """How many bytes at the end are the beginning of a UTF-8 character whose rest is not yet written."""
    if size == 0:
        return 0
    tail = file.read_bytes(max(0, size - 3), size)
    for back, byte in enumerate(reversed(tail), start=1):
        if byte < 0x80:
            return 0
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if back < length else 0
    return 0


# ---------------------------------------------------------------- curves


def metric_lines(storage: Storage, experiment: str, attempts: range) -> Iterator[dict[str, Any]]:
    """Every whole line of metrics.jsonl, attempt by attempt, each with its `attempt`."""
    for attempt in attempts:
        for line in storage.attempt(experiment, attempt).metrics.lines():
            item = whole_record(line)
            if item is not None:
                yield {**item, "attempt": attempt}


def progress_of(storage: Storage, experiment: str, attempt: int, iterations: int) -> dict[str, Any] | None:
    """{"iteration", "iterations", "loss"} of the attempt, None before its first logged iteration.

    With "expected_end" where its pace is known: when the last iteration is done at it, evaluations aside.
    """
    line = last_record(storage.attempt(experiment, attempt).metrics, "train")
    if line is None or not isinstance(line.get("iteration"), int):
        return None
    loss = line.get("loss")
    found = {
        "iteration": line["iteration"],
        "iterations": iterations,
        "loss": float(loss) if isinstance(loss, (int, float)) else None,
    }
    ends = _expected_end(line, iterations - line["iteration"])
    return found if ends is None else {**found, "expected_end": ends.isoformat()}


def _expected_end(line: Mapping[str, Any], left: int) -> datetime | None:
    pace, written_at = line.get("seconds_per_iteration"), line.get("time")
    if not isinstance(pace, (int, float)) or not isinstance(written_at, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(written_at + max(0, left) * pace, UTC)
    except (ValueError, OverflowError, OSError):  # of a pace that no calendar has a date for
        return None
