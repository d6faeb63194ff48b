"""An attempt at a follow-up as plain data: what was asked for, and what it is resolved to."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from trainer.base.errors import Cancelled
from trainer.base.strict_model import StrictModel
from trainer.data.frequency import Frequencies
from trainer.data.prepare import PreparedData
from trainer.spec.followups import FollowupRequest
from trainer.spec.resources import Resources
from trainer.spec.spec import ExperimentSpec
from trainer.storage.directories import AttemptDir, FollowupDir
from trainer.storage.layout import Storage
from trainer.storage.port import StoredFolder

_NOT_IN_A_METRIC = re.compile(r"[^A-Za-z0-9_.-]+")


class FollowupTask(StrictModel):
    """What the job was told. `mlflow_tags` are of the experiment's run, should it have to be made anew."""

    experiment: str
    followup: str
    attempt: int
    request: FollowupRequest
    storage: str
    mlflow_uri: str | None = None
    mlflow_tags: dict[str, str] = Field(default_factory=dict)

    @property
    def layout(self) -> Storage:
        return Storage.at(self.storage)

    @property
    def dir(self) -> FollowupDir:
        return self.layout.followup(self.experiment, self.followup)

    @property
    def attempt_dir(self) -> AttemptDir:
        return self.dir.attempt(self.attempt)

    def check_newest(self) -> None:
        """Raises Cancelled where a newer attempt has begun: what comes out of both goes to one place.

        One whose node was cut off is given up, and may go on all the same.
        """
        if self.dir.attempt(self.attempt + 1).exists():
            raise Cancelled("a newer attempt at this follow-up has begun")

    def publish(self, folder: StoredFolder, fill: Callable[[Path], None]) -> None:
        """Makes `folder`, one of the follow-up's, in the place of an earlier attempt's, as a whole.

        Args:
            fill: puts what belongs there into an empty directory.

        Raises:
            Cancelled: a newer attempt has begun; its folder stays.
        """

        def fill_last(path: Path) -> None:
            path.mkdir()
            fill(path)
            self.check_newest()  # meanwhile: an export takes minutes

        self.check_newest()
        folder.delete()
        self.dir.folder.publish(folder.name, fill_last)


class FollowupPlan(FollowupTask):
    """A task, ready to run: all that a worker needs.

    Attributes:
        spec: the experiment's.
        data: that are scored, their masks in the experiment's classes; the experiment's own unless others
            were asked for.
        frequencies: of the experiment's training split.
    """

    spec: ExperimentSpec
    data: PreparedData
    frequencies: Frequencies
    resources: Resources
    versions: dict[str, str]

    @property
    def scored(self) -> str:
        """The scored data as reports and MLflow name them: data set, or directory of a folder, and split.

        A class map ends it, by its content: scores under two of them are not the same measure.
        """
        name = Path(self.data.root).name if self.data.dataset == "folder" else self.data.dataset
        plain = _NOT_IN_A_METRIC.sub("_", f"{name}-{self.data.eval_split}")
        class_map = getattr(self.request, "class_map", None)
        if class_map is None:
            return plain
        content = json.dumps(class_map, sort_keys=True).encode()
        return f"{plain}-map-{hashlib.sha256(content).hexdigest()[:6]}"
