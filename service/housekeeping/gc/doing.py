"""One thing after the other, each whole or not at all; what cannot be done keeps nothing else waiting."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from service.housekeeping.delete import Deletion
from service.housekeeping.gc.plan import Action, Do
from service.reconcile.cluster import BackendUnreachable
from service.shared.keeping.retention import Kind
from trainer.storage.deleted import Doomed


@dataclass(frozen=True)
class Outcome:
    """An action, and what came of it: `trouble` where it could not be done."""

    action: Action
    done: bool = False
    trouble: str | None = None


def in_turn(actions: Sequence[Action]) -> list[Action]:
    """In the order of a call: first files alone, then what MLflow is asked about, in each part by chance.

    A call has a limit. What fails slowly each time would else use it up before anything behind it.
    """
    drawn = random.sample(actions, len(actions))
    return sorted(drawn, key=_asks_mlflow)


def _asks_mlflow(action: Action) -> bool:
    return action.do is Do.FINISH or action.kind is Kind.MLFLOW


class Doing:
    """Takes things away. Once MLflow was silent it is asked nothing more: each question has its timeout."""

    def __init__(self, deletion: Deletion) -> None:
        self._deletion = deletion
        self._storage = deletion.storage
        self._silent: str | None = None

    def done(self, action: Action) -> Outcome:
        """What came of it."""
        if self._silent is not None and _asks_mlflow(action):
            return Outcome(action, trouble=self._silent)
        try:
            trouble = self._do(action)
        except OSError as error:
            trouble = f"{error.strerror or error}"
        if trouble is not None and _asks_mlflow(action):
            self._note_silence()
        return Outcome(action, done=trouble is None, trouble=trouble)

    def _do(self, action: Action) -> str | None:
        """What was in the way, if anything. Raises OSError."""
        path, runs = action.thing.path, self._deletion.runs
        if action.do is Do.FINISH:
            return self._deletion.finish(Doomed(self._storage.folder.folder(path)))
        if action.do is Do.UNMARK:
            Doomed(self._storage.folder.folder(path)).take_back()
        elif action.kind is Kind.MLFLOW:
            assert runs is not None
            try:
                runs.delete_run(path.rpartition("/")[2])
            except BackendUnreachable as error:
                return str(error)
        elif action.thing.folder:
            self._storage.folder.folder(path).delete()
        else:
            self._storage.file(path).delete()
        return None

    def _note_silence(self) -> None:
        """Whether it was MLflow as a whole that did not answer, and not one run that it has trouble with."""
        try:
            if self._deletion.runs is not None:
                self._deletion.runs.ping()
        except BackendUnreachable as error:
            self._silent = str(error)
