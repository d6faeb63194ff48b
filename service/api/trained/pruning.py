"""Which checkpoints a request leaves."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import Annotated

from pydantic import Field

from trainer.base.errors import CheckpointError, Problem, SpecError
from trainer.base.pointers import validated
from trainer.base.strict_model import StrictModel
from trainer.spec.checkpoints import FINAL, CheckpointName
from trainer.storage.checkpoints import find_checkpoint, list_checkpoints
from trainer.storage.layout import Storage

Names = Annotated[tuple[CheckpointName, ...], Field(strict=False, max_length=100)]


class PruneRequest(StrictModel):
    """One of the two: what stays, or what goes."""

    keep: Names | None = Field(default=None, description="All others go, but for `final`.")
    remove: Names | None = Field(default=None, description="All others stay.")


def kept_of(document: object, storage: Storage, experiment: str) -> list[str]:
    """Names of the experiment's checkpoints that stay.

    Raises:
        SpecError: with every problem found.
        CheckpointError: one that is named is not there; with those that are.
    """
    request = _parsed(document)
    there = [each.name for each in list_checkpoints(storage, experiment)]
    if request.remove is not None:
        gone = {find_checkpoint(storage, experiment, name).name for name in request.remove}
        return [name for name in there if name not in gone]
    kept = {FINAL}
    for name in request.keep or ():
        with suppress(CheckpointError) if isinstance(name, str) else nullcontext():  # there may be no best
            kept.add(find_checkpoint(storage, experiment, name).name)
    return [name for name in there if name in kept]


def _parsed(document: object) -> PruneRequest:
    request = validated(PruneRequest, document, SpecError)
    if (request.keep is None) == (request.remove is None):
        given = "neither is given" if request.keep is None else "both are given"
        raise SpecError((Problem("", given, "one of keep and remove"),))
    return request
