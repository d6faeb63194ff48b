"""What a decision is made from: the cluster, what runs, what waits, and the rules, at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from service.scheduling.amounts import UNLIMITED, Amount


class Account(NamedTuple):
    """A user or a project; a user without a name is whoever asks a service that needs no token."""

    kind: Literal["user", "project"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.name else f"{self.kind}s without a name"


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """An experiment, sweep or follow-up, with all its workers: it has all of them or none.

    `request` is what it holds while it lives; `most`, at least that, what it may come to hold: a sweep
    begins with one trial, and its others take what is idle. Quotas bound the latter.
    """

    id: str
    user: str = ""
    project: str = ""
    priority: int = 0
    request: Amount
    most: Amount
    submitted_at: datetime  # decides among equals
    queued_at: datetime  # since when it waits, or had waited when it began
    accounts: tuple[Account, ...] = field(init=False, repr=False)  # on whose quotas it counts, the user first

    def __post_init__(self) -> None:
        user = Account("user", self.user)
        accounts = (user, Account("project", self.project)) if self.project else (user,)
        object.__setattr__(self, "accounts", accounts)  # kept: a decision asks for them many times


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting(Item):
    """One that is to begin. `max_wait` is None for one that has run before, or may wait for ever."""

    max_wait: timedelta | None = None
    max_duration: timedelta | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Running(Item):
    """One that holds its request. `ends_at` is the latest it may last; `leaving`: it was told to stop."""

    started_at: datetime
    ends_at: datetime | None = None
    preemptible: bool = False
    leaving: bool = False

    def overdue(self, now: datetime) -> bool:
        """Whether it is to be told to stop, having lasted as long as it may."""
        return self.ends_at is not None and self.ends_at <= now and not self.leaving


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What administrators decide. An account that is not named has the quota of its kind, and weight 1."""

    users: Mapping[str, Amount] = field(default_factory=dict)
    projects: Mapping[str, Amount] = field(default_factory=dict)
    any_user: Amount = UNLIMITED
    any_project: Amount = UNLIMITED
    weights: Mapping[Account, float] = field(default_factory=dict)  # projects not named here: see `turns`
    ageing: timedelta = timedelta(hours=24)
    patience: timedelta = timedelta(hours=1)
    protected: timedelta = timedelta(minutes=10)

    def quota(self, account: Account) -> Amount:
        """What experiments of the account may hold together."""
        if account.kind == "user":
            return self.users.get(account.name, self.any_user)
        return self.projects.get(account.name, self.any_project)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One moment. `capacity` is what may be held now; shares are measured by the `maximum`, what the cluster
    may become: so they do not jump when nodes come and go.
    """

    now: datetime
    capacity: Amount
    maximum: Amount
    running: tuple[Running, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    rules: Rules = field(default_factory=Rules)
