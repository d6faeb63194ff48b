"""What the API answers about what may go."""

from __future__ import annotations

from pydantic import Field

from service.shared.keeping.retention import Kind
from service.shared.schemas import Public


class GcItem(Public):
    """One thing that goes, or went."""

    kind: Kind
    path: str = Field(description="Relative to the storage; of MLflow's the run.")
    of: str | None = Field(description="Id of what left it.")
    bytes: int = Field(description="What it frees.")
    reason: str
    done: bool = Field(description="False in a dry run, and where it could not be done.")
    trouble: str | None = Field(default=None, description="Why it could not.")


class GcKind(Public):
    """All of one kind together."""

    kind: Kind
    number: int
    bytes: int


class GcPublic(Public):
    """What goes, or went."""

    dry_run: bool
    kinds: tuple[GcKind, ...] = Field(description="Of all, also of those that are not listed.")
    bytes: int = Field(description="What all of it frees, or has freed.")
    items: tuple[GcItem, ...] = Field(description="The largest first, at most 1000.")
    trouble: str | None = Field(default=None, description="Why MLflow was not looked at, if so.")
    more: bool = Field(description="Time was over before all was done; asked again, it goes on.")
