"""Every writer of a job on a disk without room. Its own process: the disk is a mount that ends with it.

Prints one JSON object: for each writer what it raised, and which files it left behind with their ends.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from tests.data_factories import make_report, make_spec, make_task
from trainer.base.files import write_atomically
from trainer.data.prepare import prepare
from trainer.mmseg_adapter.checkpoint import save_whole
from trainer.results.report import write_report
from trainer.run.attempt import Attempt
from trainer.storage.checkpoints import Facts
from trainer.storage.deleted import Doomed
from trainer.storage.directories import AttemptDir
from trainer.storage.layout import Storage
from trainer.storage.orders import Orders
from trainer.storage.posix import PosixFile, PosixFolder
from trainer.storage.reserve import take_reserve
from trainer.storage.sink import FileSink


def fill(disk: Path) -> Path:
    """Takes all room; the file to remove when room is wanted again."""
    path = disk / "filler"
    with path.open("ab", buffering=0) as stream:
        for size in (64 * 1024, 4096, 512, 1):
            try:
                while True:
                    stream.write(bytes(size))
            except OSError:
                continue
    return path


def writers(here: Path) -> dict[str, Callable[[], object]]:
    """What a job writes, each into `here`."""

    def metrics() -> None:
        sink = FileSink(
            PosixFile(here / "metrics.jsonl"),
            orders=Orders(AttemptDir(PosixFolder(here / "none"))),
            forward=lambda _: None,
        )
        try:
            while True:
                sink.emit({"kind": "train", "iteration": 1, "loss": 0.5})
        finally:
            sink.close()

    big = {"state_dict": {"w": torch.zeros(300_000)}}
    facts = Facts(iteration=1, spec_hash="0" * 64, score=None, best=False)
    return {
        "file": lambda: write_atomically(here / "plan.json", "x" * 5000),
        "report": lambda: write_report(make_report(), PosixFile(here / "report.json")),
        "checkpoint": lambda: save_whole(big, PosixFile(here / "iter_1.pth")),
        "best": lambda: save_whole(big, PosixFile(here / "best.pth"), facts),
        "reserve": lambda: take_reserve(AttemptDir(PosixFolder(here))),
        "metrics": metrics,
        "scenes": lambda: prepare(make_spec().dataset, Storage(here), lambda _: None),
    }


def outcome(write: Callable[[], object]) -> str:
    """What was raised, as text."""
    try:
        write()
    except Exception as error:  # noqa: BLE001 - whatever it is, is the answer
        return f"{type(error).__name__}: {error}"
    return "nothing"


def whole_attempt(disk: Path) -> dict[str, object]:
    """An attempt whose disk fills up while it works; what its report says."""
    attempt = Attempt(make_task(make_spec(), disk / "storage"))

    def work(running: Attempt) -> None:
        filler = fill(disk)
        print("a line for a log that has no room", flush=True)
        try:
            save_whole({"w": torch.zeros(300_000)}, running.dir.folder.file("iter_1.pth"))
        finally:
            assert filler.exists()

    attempt.run(work)
    document: dict[str, object] = json.loads(attempt.dir.report.read_text())
    left = sorted(path.name for path in attempt.dir.path.iterdir())
    return {"error": document["error"], "left": left}


def deleted_folder(disk: Path) -> str:
    """What is told of a run directory that is marked while there is no room; nothing else is left."""
    here = disk / "doomed"
    doomed = Doomed(PosixFolder(here))
    here.mkdir()
    filler = fill(disk)
    told = outcome(lambda: doomed.put_mark("m1"))
    filler.unlink()
    return told if [path.name for path in here.iterdir()] == [doomed.mark.name] else f"{told}, no mark"


def main() -> None:
    disk = Path(sys.argv[1])
    found: dict[str, object] = {}
    for name, write in writers(disk / "here").items():
        (disk / "here").mkdir()
        filler = fill(disk)
        said = outcome(write)
        filler.unlink()
        files = [path for path in (disk / "here").rglob("*") if path.is_file()]
        found[name] = {"said": said, "left": {path.name: path.read_bytes()[-40:].decode() for path in files}}
        for path in sorted((disk / "here").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (disk / "here").rmdir()
    found["deleted"] = {"said": deleted_folder(disk)}
    found["attempt"] = whole_attempt(disk)
    print(f"\n{json.dumps(found)}")
    os._exit(0)


if __name__ == "__main__":
    main()
