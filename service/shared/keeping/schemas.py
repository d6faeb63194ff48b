"""What the API answers about deletions and the record of changes."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from service.shared.schemas import Public


class DeletedPublic(Public):
    """What was deleted."""

    id: str
    kind: str = Field(description="experiment, sweep, or what a follow-up was.")
    artifacts: bool = Field(description="With run directories and MLflow's runs.")
    left: tuple[str, ...] = Field(
        default=(), description="What could not be taken away yet, and why; `rebalance gc` does it later."
    )


class DeedPublic(Public):
    """One change that somebody asked for."""

    id: int
    at: AwareDatetime
    actor: str | None = Field(description="Name of the token; null where none was asked for.")
    action: str = Field(description="Such as submit, cancel, retry, delete.")
    kind: str = Field(description="experiment, sweep, follow-up, token, or storage.")
    subject: str | None = Field(description="Id of what was changed, which may be gone by now.")
    request: str | None = Field(description="The X-Request-ID by which the service's log knows it.")
    detail: str | None = None
