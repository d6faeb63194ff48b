"""What /healthz and /readyz answer."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from service.shared.schemas import Public


class Health(Public):
    """What /healthz says: the process answers."""

    status: str = "ok"
    version: str
    time: datetime


class Readiness(Public):
    """What /readyz found. `degraded`: experiments are taken, and wait for a part that is not well."""

    status: Literal["ok", "degraded"]
    checks: dict[str, str] = Field(
        default={}, description="For each part `ok`, or why it is not; empty for who shows no token."
    )
    role: Literal["leader", "follower"] | None = Field(
        default=None, description="Whether this service acts, or another one on the same database."
    )
    lead: int | None = Field(
        default=None, description="On Postgres, of a leader: grows with each that leads."
    )

    def troubles(self) -> dict[str, str]:
        """The parts that are not well, and why."""
        return {name: why for name, why in self.checks.items() if why != "ok"}
