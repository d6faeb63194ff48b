"""What the attempts before have measured, and were killed before they could send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.factories import tiny_spec
from trainer.storage.layout import Storage
from trainer.task import Task
from trainer.tracking.run_log import send_cut_off


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


def test_only_an_attempt_without_a_report_is_sent_again(tmp_path: Path) -> None:
    """One with a report has sent all, or noted what is missing; this one's own points are on their way."""
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
    send_cut_off(task, tracker)  # type: ignore[arg-type]
    assert tracker.steps == [2]
    assert tracker.folders == {"attempts/2"}
