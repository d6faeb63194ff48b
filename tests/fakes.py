"""Twins of what lies outside. Each passes the same contract suite as the real thing."""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from service.reconcile.cluster import (
    AlreadySubmitted,
    BackendUnreachable,
    JobObservation,
    JobStatus,
    RunFact,
    SubmitRefused,
)
from trainer.spec.recipes import Machines
from trainer.storage.port import Listed, StoredFile

_MANY = 20  # jobs that are told of at once, as by RayBackend


@dataclass
class FakeJob:
    """A job that goes where the test moves it."""

    command: tuple[str, ...]
    metadata: dict[str, str]
    status: JobStatus = JobStatus.PENDING
    message: str = ""
    log: str = ""
    stops: int = 0
    exit_code: int | None = None


class FakeBackend:
    """A cluster in memory. `stop` ends a job at once unless `stubborn`."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.jobs: dict[str, FakeJob] = {}
        self.down = False
        self.refuses: str | None = None
        self.stubborn = stubborn
        self.has = Machines(gpus=0, cpus=2)
        self._lock = threading.Lock()

    def submit(self, job_id: str, command: Sequence[str], metadata: Mapping[str, str]) -> None:
        self.ping()
        if self.refuses is not None:
            raise SubmitRefused(self.refuses)
        with self._lock:
            if job_id in self.jobs:
                raise AlreadySubmitted(job_id)
            self.jobs[job_id] = FakeJob(tuple(command), dict(metadata))

    def status(self, job_id: str) -> JobObservation:
        if self.down:
            return JobObservation(JobStatus.UNREACHABLE, "the cluster is down")
        job = self.jobs.get(job_id)
        if job is None:
            return JobObservation(JobStatus.GONE)
        return JobObservation(job.status, job.message, exit_code=job.exit_code)

    def statuses(self, job_ids: Collection[str]) -> Mapping[str, JobObservation]:
        if len(job_ids) < _MANY or self.down:
            return {}  # as Ray's: each is to be asked for
        found = {each: self.status(each) for each in job_ids}
        return {each: job for each, job in found.items() if job.status is not JobStatus.GONE}

    def stop(self, job_id: str) -> None:
        self.ping()
        job = self.jobs.get(job_id)
        if job is not None and not job.status.over:
            job.stops += 1
            if not self.stubborn:
                job.status = JobStatus.STOPPED

    def logs(self, job_id: str) -> str:
        self.ping()
        job = self.jobs.get(job_id)
        return "" if job is None else job.log

    def machines(self) -> Machines:
        self.ping()
        return self.has

    def ping(self) -> None:
        if self.down:
            raise BackendUnreachable("the cluster is down")

    # ------------------------------------------------ what a test does to the cluster

    def run(self, job_id: str) -> None:
        """The job's command starts."""
        self.jobs[job_id].status = JobStatus.RUNNING

    def finish(self, job_id: str, status: JobStatus = JobStatus.SUCCEEDED, message: str = "") -> None:
        """The job's command ends."""
        self.jobs[job_id].status, self.jobs[job_id].message = status, message

    def lose(self, job_id: str) -> None:
        """The head was started again and knows nothing of the job."""
        del self.jobs[job_id]


class FakeRuns:
    """An MLflow that remembers what runs were ended with. `facts` are of runs that are not simply there."""

    def __init__(self) -> None:
        self.closed: dict[str, str] = {}
        self.facts: dict[str, RunFact] = {}
        self.logged: dict[str, int] = {}  # bytes of artifacts
        self.down = False
        self.looks = 0

    def close_run(self, run_id: str, status: str) -> None:
        self.ping()
        self.closed[run_id] = status

    def delete_run(self, run_id: str) -> None:
        self.ping()
        self.facts[run_id] = RunFact.DELETED
        self.logged.pop(run_id, None)

    def binned(self, run_ids: Collection[str]) -> dict[str, int]:
        self.ping()
        return {
            run_id: size
            for run_id, size in self.logged.items()
            if run_id in run_ids and self.facts.get(run_id) is RunFact.DELETED
        }

    def look(self, runs: Mapping[str, str]) -> dict[str, RunFact]:
        self.looks += 1
        self.ping()
        return {run_id: self.facts.get(run_id, RunFact.THERE) for run_id in runs}

    def ping(self) -> None:
        if self.down:
            raise BackendUnreachable("MLflow is down")


@dataclass
class MemoryDisk:
    """Content by path, as `StoredFile` and `StoredFolder` of shared storage in memory."""

    files: dict[tuple[str, ...], bytes] = field(default_factory=dict)
    folders: dict[tuple[str, ...], int] = field(default_factory=dict)
    changes: dict[tuple[str, ...], int] = field(default_factory=dict)
    clock: int = 0

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def make(self, key: tuple[str, ...]) -> None:
        for end in range(len(key) + 1):
            if key[:end] not in self.folders:
                self.folders[key[:end]] = self.tick()
                if end:
                    self.folders[key[: end - 1]] = self.tick()

    def put(self, key: tuple[str, ...], content: bytes) -> None:
        self.make(key[:-1])
        if key not in self.files:
            self.folders[key[:-1]] = self.tick()
        self.files[key], self.changes[key] = content, self.tick()


class _Appending(io.RawIOBase):
    def __init__(self, disk: MemoryDisk, key: tuple[str, ...]) -> None:
        self._disk, self._key = disk, key
        disk.put(key, disk.files.get(key, b""))

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._disk.put(self._key, self._disk.files[self._key] + bytes(content))
        return len(content)


@dataclass(frozen=True)
class MemoryFile:
    """See `trainer.storage.port.StoredFile`."""

    disk: MemoryDisk
    key: tuple[str, ...]

    def __str__(self) -> str:
        return "/".join(self.key)

    @property
    def name(self) -> str:
        return self.key[-1]

    @property
    def local(self) -> Path:
        """A copy."""
        path = Path(tempfile.mkdtemp()) / self.name
        path.write_bytes(self.read_bytes())
        return path

    def exists(self) -> bool:
        return self.key in self.disk.files

    def size(self) -> int:
        return len(self.disk.files.get(self.key, b""))

    def modified_ns(self) -> int | None:
        return self.disk.changes[self.key] if self.exists() else None

    def read_bytes(self, start: int = 0, stop: int | None = None) -> bytes:
        if not self.exists():
            raise FileNotFoundError(str(self))
        return self.disk.files[self.key][start:stop]

    def reading(self) -> BinaryIO:
        return io.BytesIO(self.read_bytes())

    def read_text(self) -> str:
        return self.read_bytes().decode()

    def lines(self, start: int = 0) -> Iterator[bytes]:
        yield from io.BytesIO(self.disk.files.get(self.key, b"")[start:])

    def write(self, content: str | bytes) -> None:
        self.disk.put(self.key, content.encode() if isinstance(content, str) else content)

    @contextmanager
    def writing(self) -> Iterator[BinaryIO]:
        stream = io.BytesIO()
        yield stream
        self.write(stream.getvalue())

    def appending(self) -> BinaryIO:
        return cast(BinaryIO, _Appending(self.disk, self.key))

    def rename(self, name: str) -> MemoryFile:
        to = MemoryFile(self.disk, (*self.key[:-1], name))
        to.write(self.read_bytes())
        self.delete()
        return to

    def share(self, to: StoredFile) -> None:
        to.write(self.read_bytes())

    def delete(self) -> None:
        if self.disk.files.pop(self.key, None) is not None:
            self.disk.folders[self.key[:-1]] = self.disk.tick()


@dataclass(frozen=True)
class MemoryFolder:
    """See `trainer.storage.port.StoredFolder`."""

    disk: MemoryDisk = field(default_factory=MemoryDisk)
    key: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "/".join(self.key)

    @property
    def name(self) -> str:
        return self.key[-1]

    @property
    def local(self) -> Path:
        """A copy."""
        root = Path(tempfile.mkdtemp())
        for key, content in self.disk.files.items():
            if key[: len(self.key)] == self.key:
                path = root.joinpath(*key[len(self.key) :])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        return root

    def file(self, name: str) -> MemoryFile:
        return MemoryFile(self.disk, (*self.key, *name.split("/")))

    def folder(self, name: str) -> MemoryFolder:
        return MemoryFolder(self.disk, (*self.key, *name.split("/")))

    def exists(self) -> bool:
        return self.key in self.disk.folders

    def make(self) -> None:
        self.disk.make(self.key)

    def names(self) -> list[str]:
        depth = len(self.key)
        keys = (*self.disk.files, *self.disk.folders)
        return sorted({key[depth] for key in keys if len(key) == depth + 1 and key[:depth] == self.key})

    def files(self) -> list[str]:
        depth = len(self.key)
        return sorted("/".join(key[depth:]) for key in self.disk.files if key[:depth] == self.key)

    def listing(self, *, unfinished: bool = False) -> Iterator[Listed]:
        for name in self.files():
            if not unfinished or name.startswith("."):
                file = self.file(name)
                yield Listed(name, file.size(), file.modified_ns() or 0)

    def modified_ns(self) -> int | None:
        return self.disk.folders.get(self.key)

    def clear_unfinished(self) -> None:
        """Nothing is ever half-written here."""

    def publish(self, name: str, fill: Callable[[Path], None]) -> MemoryFolder:
        target = self.folder(name)
        if not target.exists():
            made = Path(tempfile.mkdtemp()) / "made"
            fill(made)
            for path in sorted(made.rglob("*")):
                if path.is_file():
                    self.disk.put((*target.key, *path.relative_to(made).parts), path.read_bytes())
        return target

    def delete(self) -> None:
        for kept in (self.disk.files, self.disk.folders):
            for key in [key for key in kept if key[: len(self.key)] == self.key]:
                del kept[key]
