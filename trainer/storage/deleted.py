"""Folders whose rows are deleted: marked before the rows go, so that what is left is known for what it is."""

from __future__ import annotations

import json
from dataclasses import dataclass

from trainer.base.errors import DiskFull
from trainer.storage.layout import mlflow_ids
from trainer.storage.port import StoredFile, StoredFolder

NAME = "deleted"


@dataclass(frozen=True)
class Doomed:
    """A folder of an experiment, a sweep or a follow-up, and whether it is to go with its row."""

    folder: StoredFolder

    @property
    def mark(self) -> StoredFile:
        """While it is there and the row is not, whoever finds the folder takes away what is left."""
        return self.folder.file(NAME)

    def put_mark(self, mlflow_run_id: str | None) -> bool:
        """Marks it; False, and nothing is written, where there is nothing to take away."""
        if not self.folder.exists() and mlflow_run_id is None:
            return False
        try:
            self.mark.write(json.dumps({"mlflow_run_id": mlflow_run_id}) + "\n")
        except DiskFull:  # deleting is what makes room: its name says enough, and needs none for content
            self.mark.write("")
        return True

    def take_back(self) -> None:
        """Its row stays."""
        self.mark.delete()
        if not self.folder.files():
            self.folder.delete()  # it was made for the mark

    def mlflow_run_id(self) -> str | None:
        """The run that goes with it, as the mark or the run directory itself says."""
        try:
            found = json.loads(self.mark.read_text())["mlflow_run_id"]
        except (FileNotFoundError, ValueError, LookupError, TypeError):
            found = None
        return found if isinstance(found, str) else mlflow_ids(self.folder.file("mlflow.json")).get("run_id")
