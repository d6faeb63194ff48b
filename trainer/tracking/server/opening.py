"""How a run is found or made on an MLflow server: by its id or key, out of the bin, below its parent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trainer.storage.tracking import Trouble
from trainer.tracking.mlflow_compat import KIND, OF_MODELS, PARENT_RUN
from trainer.tracking.tracker import RunInfo
from trainer.tracking.trouble import TrackerError, only_about_this, trouble_of

KEY = "rebalance.run_key"
_MOST_NAMES = 10


class RunOpener:
    """One opening of a run. Methods raise what MLflow's client raises."""

    def __init__(self, client: Any, new_group: Callable[[str], None]) -> None:
        """`new_group` is told the id of a group that was made just now."""
        self._client = client
        from mlflow.exceptions import MlflowException

        self._new_group = new_group
        self._error = MlflowException
        self.restored = False
        self.group_id = ""  # of the group looked at last

    def found(self, info: RunInfo) -> Any:
        """The run by its id or key, out of the bin if it lay there; None where there is none to be had."""
        run = self._by_id(info.run_id) if info.run_id else None
        if run is None and info.maybe_made and info.run_id is None:
            run = self._by_key(self._group(info), info.key)
        if run is None:
            return None
        try:
            self._restore_group(self._client.get_experiment(str(run.info.experiment_id)))
            if run.info.lifecycle_stage == "deleted":
                self._client.restore_run(run.info.run_id)
                self.restored = True
        except self._error as error:
            if not only_about_this(error):
                raise
            return None
        return run

    def create(self, info: RunInfo) -> Any:
        """A new run, in the group of its parent where it has one."""
        tags = {**info.tags, KEY: info.key}
        return self._client.create_run(self._group(info), run_name=info.name, tags=tags)

    def _by_id(self, run_id: str) -> Any:
        try:
            return self._client.get_run(run_id)
        except self._error as error:
            if trouble_of(error).kind is not Trouble.DELETED:
                raise
            return None  # emptied from the bin, or another server than then

    def _by_key(self, experiment_id: str, key: str) -> Any:
        from mlflow.entities import ViewType

        found = self._client.search_runs(
            [experiment_id], f"tags.`{KEY}` = '{key}'", run_view_type=ViewType.ALL, max_results=1
        )
        return found[0] if found else None

    def _restore_group(self, group: Any) -> None:
        """Restores the experiment in MLflow's sense, with all its runs, as MLflow does it."""
        if group.lifecycle_stage == "deleted":
            self._client.restore_experiment(group.experiment_id)
            self.restored = True

    def _group(self, info: RunInfo) -> str:
        """The id of MLflow's experiment: its parent's, for only there it is shown below it; else by name."""
        parent = self._by_id(info.tags[PARENT_RUN]) if PARENT_RUN in info.tags else None
        if parent is not None and parent.info.lifecycle_stage != "deleted":
            self.group_id = str(parent.info.experiment_id)
        else:
            self.group_id = self._named(info.group)
        return self.group_id

    def _named(self, name: str) -> str:
        """By its name; where a deleted one may not be restored, of "name (2)"."""
        for number in range(1, _MOST_NAMES):
            found = self._made(name if number == 1 else f"{name} ({number})")
            try:
                self._restore_group(found)
            except self._error as error:
                if not only_about_this(error):
                    raise
                continue
            return str(found.experiment_id)
        raise TrackerError(f"{name} and all names like it are deleted", Trouble.DELETED)

    def _made(self, name: str) -> Any:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return found
        try:
            made = str(self._client.create_experiment(name, tags={KIND: OF_MODELS}))
        except self._error:  # another job was faster
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return found
        self.group_id = made
        self._new_group(made)
        return self._client.get_experiment(made)
