"""What the API answers about attempts: shared by routes and client, as schemas.py is."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from service.shared.schemas import Public


class AttemptPublic(Public):
    """One try at an experiment, a sweep or a follow-up, as it is on record."""

    attempt: int
    job_id: str = Field(description="In Ray; of a trial its sweep's, or its own once it is detached.")
    host: str | None = Field(default=None, description="Of rank 0, else of the job's driver.")
    submitted_at: AwareDatetime
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = Field(default=None, description="Null while it goes on.")
    job_status: str | None = Field(default=None, description="The cluster's last word.")
    exit_code: int | None = Field(
        default=None, description="Of the job's driver; of a trial in its sweep none."
    )
    error_type: str | None = Field(default=None, description="Class of the error that ended it.")
    reason: str | None = Field(default=None, description="Of the last change of state in it.")
    counted: bool = Field(default=False, description="As a failure of its own: a lost node is none.")
    log: str | None = Field(
        default=None, description="Where its log is, relative to the API; sweeps have none."
    )
    log_file: str | None = Field(default=None, description="The same, relative to the storage.")
