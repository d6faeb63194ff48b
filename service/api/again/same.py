"""Whether what is asked for was run before: the same spec, code and data."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
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
from trainer.storage.layout import Storage
from trainer.storage.weights import WeightsFolder

_MOST_LOOKED_AT = 10  # of those with the same spec, the newest


def earlier_same(spec: ExperimentSpec, store: Store, settings: Settings) -> str | None:
    """Id of an earlier experiment that gives what this spec would give now: the newest that completed, else
    one that goes on; None where there is none.

    The same spec is one of the same hash. The same code: the files of our package, and the versions of the
    libraries that the newest attempt of this service had. The same data: the files of both splits, by what
    the file system says of them, the table of frequencies, and the pretrained weights. All attempts must have
    had them: each trained a part. Of one whose job has not begun nothing is compared but the spec: it reads
    the code and data that are there now.

    Args:
        spec: that went through `folders.resolve_spec`.
    """
    found = store.of_hash(spec_hash(spec), limit=_MOST_LOOKED_AT)
    found.sort(key=lambda each: each[1] is not State.COMPLETED)  # stable: the newest first of either
    fitting = (each for each, state in found if _is_same(each, state, spec, store, settings))
    return next(fitting, None)


def _is_same(experiment: str, state: State, spec: ExperimentSpec, store: Store, settings: Settings) -> bool:
    storage = settings.layout
    plans = list(plans_of(storage, experiment))
    if not plans:
        return not state.ended
    plan, *earlier = plans
    if any(_had(each) != _had(plan) for each in earlier):
        return False
    if plan.get("code") != code_digest() or plan.get("versions") != _versions(store, storage):
        return False
    with suppress(OSError, RegionRebalanceError):  # what cannot be looked at now is not known to be the same
        return _reads_the_same(plan, spec, settings)
    return False


def _had(plan: Mapping[str, Any]) -> list[Any]:
    """The code and data of one attempt."""
    weights = plan.get("weights") or {}
    return [*map(plan.get, ("code", "versions", "data_digest")), weights.get("sha256")]


def _versions(store: Store, storage: Storage) -> Any:
    """Of the libraries, as the newest attempt had them: the service itself may have none of them."""
    newest = store.last_started()
    return None if newest is None else (newest_plan(storage, newest) or {}).get("versions")


def _reads_the_same(plan: Mapping[str, Any], spec: ExperimentSpec, settings: Settings) -> bool:
    """Whether what an attempt has read is what one would read now; False where its plan does not tell."""
    read, weights = plan.get("data_digest"), plan.get("weights")
    if weights is not None:
        there = WeightsFolder(settings.layout).find(weights["name"])
        if there is None or there.note.sha256 != weights["sha256"]:
            return False
    root = getattr(spec.dataset, "root", None) or "."  # of built-in scenes none
    place = place_of(root, names_in(settings.data_roots))
    return read is not None and isinstance(place, Path) and read == data_digest(spec.dataset, place)
