"""What the API answers about the queue as a whole: shared by the routes and the client, as schemas.py is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.shared.schemas import Public, WaitingPublic


class AmountPublic(Public):
    """So much of each; null is without a limit, or not known."""

    gpus: float | None
    cpus: float | None
    places: float | None = Field(description="Of experiments, sweeps and follow-ups that may run at once.")


class InQueue(Public):
    """One that waits for its turn."""

    position: int = Field(description="From 1, in the order in which they are looked at now.")
    kind: Literal["experiment", "sweep", "followup"]
    id: str
    name: str
    user: str | None = Field(description="The name of the token that was shown.")
    project: str | None
    priority: int
    asks: AmountPublic
    waiting: WaitingPublic


class QueuePublic(Public):
    """What waits, in order, and what there is."""

    items: tuple[InQueue, ...] = Field(description="The first of them.")
    waiting: int = Field(description="How many wait in all.")
    running: int = Field(description="How many have a job.")
    capacity: AmountPublic = Field(description="Of the cluster, as far as it is counted.")
    free: AmountPublic
    trouble: str | None = Field(default=None, description="Why nothing is decided now, or not by the file.")


class AccountPublic(Public):
    """What one user or project holds, of what it may."""

    kind: Literal["user", "project"]
    name: str = Field(description="Empty for those who showed no token.")
    used: AmountPublic = Field(description="What its experiments may come to hold; quotas count that.")
    quota: AmountPublic
    share: float = Field(description="Of the cluster, of the kind that it holds most of; 0 to 1.")
    weight: float
    running: int
    waiting: int


class AccountsPublic(Public):
    """Those that have something in the queue, and those that the policy names."""

    items: tuple[AccountPublic, ...]
    counts_capacity: bool = Field(description="Whether free GPUs and CPUs are counted.")
    trouble: str | None = Field(default=None, description="Why the file of rules is not the one that holds.")
