"""Whether what is asked for was run before: the same spec, code and data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from trainer.base.data_roots import names_in, place_of
from trainer.base.errors import RegionRebalanceError
from trainer.same.code import code_digest
from trainer.same.data import data_digest
from trainer.spec.spec import ExperimentSpec, spec_hash
from trainer.storage.checkpoints import newest_plan, plans_of
from trainer.storage.weights import WeightsFolder

_MOST_LOOKED_AT = 10  # of those with the same spec, the newest


class Lookback:
    """Looks for what was run before; versions and each data set are read once, however many ask.

    The same spec is one of the same hash. The same code: the files of our package, and the versions of the
    libraries that the newest attempt of this service had. The same data: the files of both splits, by what
    the file system says of them, the table of frequencies, and the pretrained weights. All attempts must have
    had them: each trained a part. Of one whose job has not begun nothing is compared but the spec: it reads
    the code and data that are there now.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._storage = settings.layout
        self._digests: dict[str, str | None] = {}  # of data, by the data set's document

    def experiments(
        self, hashes: Sequence[str], spec_at: Callable[[int], ExperimentSpec]
    ) -> list[str | None]:
        """For each spec the id of an earlier experiment that gives what it would give now: the newest that
        completed, else one that goes on; None where there is none.

        Args:
            hashes: of specs that went through `folders.resolve_spec`.
            spec_at: the spec at a place of `hashes`; asked for where there is one to compare it with.
        """
        found = self._store.of_hashes(hashes, limit=_MOST_LOOKED_AT)
        return [self._first(each, spec_at(place)) if each else None for place, each in enumerate(found)]

    def is_same(self, experiment: str, state: State, spec: ExperimentSpec) -> bool:
        """Whether an experiment of this spec had the code and data that it would have now."""
        plans = list(plans_of(self._storage, experiment))
        if not plans:
            return not state.ended
        plan, *earlier = plans
        if any(_had(each) != _had(plan) for each in earlier):
            return False
        if plan.get("code") != code_digest() or plan.get("versions") != self._versions:
            return False
        with suppress(OSError, RegionRebalanceError):  # what cannot be looked at is not known to be the same
            return self._reads_the_same(plan, spec)
        return False

    def _first(self, found: Sequence[tuple[str, State]], spec: ExperimentSpec) -> str | None:
        # Stable: the newest first of either.
        completed_first = sorted(found, key=lambda each: each[1] is not State.COMPLETED)
        fitting = (each for each, state in completed_first if self.is_same(each, state, spec))
        return next(fitting, None)

    @cached_property
    def _versions(self) -> Any:
        """Of the libraries, as the newest attempt had them: the service itself may have none of them."""
        newest = self._store.last_started()
        return None if newest is None else (newest_plan(self._storage, newest) or {}).get("versions")

    def _reads_the_same(self, plan: Mapping[str, Any], spec: ExperimentSpec) -> bool:
        """Whether what an attempt has read is what one would read now; False where its plan does not tell."""
        read, weights = plan.get("data_digest"), plan.get("weights")
        if weights is not None:
            there = WeightsFolder(self._settings.layout).find(weights["name"])
            if there is None or there.note.sha256 != weights["sha256"]:
                return False
        return read is not None and read == self._data_digest(spec)

    def _data_digest(self, spec: ExperimentSpec) -> str | None:
        """Of what lies there now; None where it is not known."""
        key = spec.dataset.model_dump_json()
        if key not in self._digests:
            root = getattr(spec.dataset, "root", None) or "."  # of built-in scenes none
            place = place_of(root, names_in(self._settings.data_roots))
            self._digests[key] = data_digest(spec.dataset, place) if isinstance(place, Path) else None
        return self._digests[key]


def earlier_same(spec: ExperimentSpec, store: Store, settings: Settings) -> str | None:
    """See `Lookback.experiments`, of one spec."""
    (found,) = Lookback(store, settings).experiments([spec_hash(spec)], lambda _: spec)
    return found


def _had(plan: Mapping[str, Any]) -> list[Any]:
    """The code and data of one attempt."""
    weights = plan.get("weights") or {}
    return [*map(plan.get, ("code", "versions", "data_digest")), weights.get("sha256")]
