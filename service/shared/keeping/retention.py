"""How long what experiments leave is kept: a table of the administrators' file, or what one asks for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from trainer.base.strict_model import StrictModel
from trainer.spec.resources import Span

LEAST_OF_LEFTOVERS = timedelta(days=1)  # a writer that is still at work is not disturbed


class Kind(StrEnum):
    """What may go, each for itself."""

    CHECKPOINTS = "checkpoints"  # those to resume from
    BEST = "best"
    FINAL = "final"
    LOGS = "logs"
    PICTURES = "pictures"  # of predictions: what was sent, and what came out
    MLFLOW = "mlflow"  # what runs in MLflow's bin had logged
    ORPHANS = "orphans"  # directories of no row
    LEFTOVERS = "leftovers"  # half-written files and reserves of killed jobs
    DELETED = "deleted"  # what is left of something deleted


# What `older_than` means where nothing is named: what can be trained with or looked at again stays.
COMMON = (Kind.CHECKPOINTS, Kind.LOGS, Kind.PICTURES, Kind.MLFLOW, Kind.ORPHANS)
ALWAYS = (Kind.LEFTOVERS, Kind.DELETED)


class Retention(StrictModel):
    """For how long after its end each is kept; what is left out is kept for good."""

    checkpoints: Span | None = None
    best: Span | None = None
    final: Span | None = None
    logs: Span | None = None
    pictures: Span | None = None
    mlflow: Span | None = None
    orphans: Span | None = None

    def ages(self) -> dict[Kind, timedelta]:
        """How old each must be to go; leftovers go anyway."""
        said = {Kind(name): seconds for name, seconds in self.model_dump().items() if seconds is not None}
        return {kind: timedelta(seconds=seconds) for kind, seconds in said.items()} | _ANYWAY


_Named = Annotated[Kind, Field(strict=False)]


class GcRequest(StrictModel):
    """What is to go now."""

    dry_run: bool = Field(default=False, description="Only say what would go.")
    older_than: Span | None = Field(
        default=None, description="Instead of the ages of the policy, such as 30d or seconds."
    )
    only: Annotated[tuple[_Named, ...], Field(strict=False, max_length=len(Kind))] | None = Field(
        default=None, description="These kinds alone."
    )

    def ages(self, retention: Mapping[Kind, timedelta]) -> dict[Kind, timedelta]:
        """How old each kind must be to go, by what is asked for over what is the rule.

        `older_than` is of the kinds named in `only`, else of `COMMON`: never, unnamed, of `best` and `final`.
        """
        found = dict(retention)
        if self.older_than is not None:
            age = timedelta(seconds=self.older_than)
            found = {kind: age for kind in self.only or COMMON if kind not in ALWAYS} | _ANYWAY
        return found if self.only is None else {kind: found[kind] for kind in self.only if kind in found}


_ANYWAY = {Kind.LEFTOVERS: LEAST_OF_LEFTOVERS, Kind.DELETED: timedelta()}
