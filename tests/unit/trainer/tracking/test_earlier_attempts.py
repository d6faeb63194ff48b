"""What the attempts before have measured, and may not have sent before they ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.factories import tiny_spec
from trainer.storage.layout import Storage
from trainer.task import Task
from trainer.tracking.run_log import send_earlier


class Taken:
    """A tracker; what came to it."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.folders: set[str] = set()

    def log_points(self, points: Any) -> None:
        self.steps += [point.step for point in points]

    def log_file(self, path: Path, folder: str = "") -> None:
        del path
        self.folders.add(folder)


def test_all_attempts_before_are_sent_again(tmp_path: Path) -> None:
    """With a report too: a sweep's job writes that of a trial whose process was lost with all that it had not
    sent. This one's own points are on their way.
    """
    storage = Storage.at(tmp_path)
    for number in (1, 2, 3):
        here = storage.attempt("e1", number)
        here.folder.make()
        line = f'{{"kind": "train", "iteration": {number}, "time": 1.0, "loss": 0.5}}\n'
        here.metrics.write(line)
    storage.attempt("e1", 1).report.write("{}")
    tracker = Taken()
    task = Task(
        spec=tiny_spec(), experiment="e1", attempt=3, storage=str(tmp_path), mlflow_uri="http://127.0.0.1:1"
    )
    send_earlier(task, tracker)  # type: ignore[arg-type]
    assert tracker.steps == [1, 2]
    assert tracker.folders == {"attempts/1", "attempts/2"}
