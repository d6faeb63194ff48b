"""The administrators' rules, for the queue and for what is kept: a file, read again when it has changed."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from service.scheduling.amounts import UNLIMITED, Amount
from service.scheduling.snapshot import Account, Rules
from service.shared.keeping.retention import Retention
from service.shared.settings import SettingsError
from trainer.base.pointers import problems_of
from trainer.base.strict_model import StrictModel
from trainer.spec.resources import ProjectName, Span

_LARGEST_BYTES = 1_000_000
_Number = Annotated[int, Field(ge=0, le=1_000_000)] | Literal["unlimited"]
_Gpus = Annotated[float, Field(ge=0, le=1_000_000, multiple_of=0.125)] | Literal["unlimited"]
UserName = Annotated[str, Field(min_length=1, max_length=100)]

log = logging.getLogger(__name__)


class PolicyError(SettingsError):
    """The file cannot be used; the message names it, each place in it, and what is allowed there."""


class Quota(StrictModel):
    """What experiments of one account may hold together. What is left out is as for all of its kind, and
    for all of a kind without a limit.
    """

    gpus: _Gpus | None = None
    cpus: _Number | None = None
    concurrent: _Number | None = None

    def over(self, general: Amount) -> Amount:
        """As numbers; what is left out is the `general`."""
        given = (self.gpus, self.cpus, self.concurrent)
        pairs = zip(given, general, strict=True)
        found = Amount(
            *(usual if own is None else inf if own == "unlimited" else own for own, usual in pairs)
        )
        return UNLIMITED if found == UNLIMITED else found


class NamedQuota(Quota):
    """Of one account. Twice the weight of another, twice its fair share."""

    weight: float | None = Field(default=None, gt=0, le=1_000_000)


class ProjectQuota(NamedQuota):
    """Of one project, and who works in it: they may change what is the project's."""

    members: Annotated[tuple[UserName, ...], Field(strict=False, max_length=100_000)] = ()


class Policy(StrictModel):
    """The whole file."""

    count_capacity: bool = True  # whether free GPUs and CPUs decide, or the number of experiments alone
    ageing: Span = 24 * 3600
    patience: Span = 3600
    protected: Span = 600
    user: Quota = Quota()
    users: dict[UserName, NamedQuota] = Field(default_factory=dict, max_length=100_000)
    project: Quota = Quota()
    projects: dict[ProjectName, ProjectQuota] = Field(default_factory=dict, max_length=100_000)
    retention: Retention = Retention()

    def rules(self) -> Rules:
        """As `decide` takes them."""
        user, project = self.user.over(UNLIMITED), self.project.over(UNLIMITED)
        weights = {Account("user", name): each.weight for name, each in self.users.items()}
        weights |= {Account("project", name): each.weight for name, each in self.projects.items()}
        return Rules(
            users={name: each.over(user) for name, each in self.users.items()},
            projects={name: each.over(project) for name, each in self.projects.items()},
            any_user=user,
            any_project=project,
            weights={account: weight for account, weight in weights.items() if weight is not None},
            ageing=timedelta(seconds=self.ageing),
            patience=timedelta(seconds=self.patience),
            protected=timedelta(seconds=self.protected),
        )


@dataclass(frozen=True)
class Current:
    """The rules that hold, and why they are not those of the file, if so."""

    rules: Rules = field(default_factory=Rules)
    count_capacity: bool = False
    retention: Retention = field(default_factory=Retention)
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)  # of each project
    trouble: str | None = None


class PolicyFile:
    """The rules that hold now. Any thread may ask. Without a file: none but the order of turns."""

    def __init__(self, path: Path | None) -> None:
        """Raises PolicyError."""
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._current = Current()
        if path is not None:
            self._stamp = _stamp(path)
            self._current = _read(path)

    def current(self) -> Current:
        """Those of the file as it is; while it cannot be used, those that held before, and why."""
        if self._path is None:
            return self._current
        try:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._current = _read(self._path)
                log.info("policy read", extra={"file": str(self._path)})
                self._stamp = stamp
            return self._current
        except PolicyError as error:
            told = replace(self._current, trouble=str(error))
            if told != self._current:
                log.warning("policy unusable", extra={"reason": str(error)})
            self._current = told
            return told


def parse_policy(document: Mapping[str, Any], where: str) -> Policy:
    """The policy that a decoded document describes.

    Raises:
        PolicyError: with every problem found; `where` is the name of the file.
    """
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        problems = problems_of(error, document, _schema())
        told = "; ".join(f"{where}: {problem}" for problem in problems)
        raise PolicyError(f"REBALANCE_POLICY: {told}") from None


@cache
def _schema() -> dict[str, Any]:
    return Policy.model_json_schema()


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    return found.st_mtime_ns, found.st_size


def _read(path: Path) -> Current:
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(content) > _LARGEST_BYTES:
        raise PolicyError(
            f"REBALANCE_POLICY: {path}: is larger than {_LARGEST_BYTES:,} bytes; allowed: a smaller file"
        )
    try:
        document = tomllib.loads(content.decode())
    except ValueError as error:  # not UTF-8, or not TOML
        raise PolicyError(f"REBALANCE_POLICY: {path}: {error}; allowed: TOML in UTF-8") from None
    policy = parse_policy(document, str(path))
    members = {name: frozenset(each.members) for name, each in policy.projects.items()}
    return Current(policy.rules(), policy.count_capacity, policy.retention, members)


def _unreadable(path: Path, error: OSError) -> PolicyError:
    told = f"cannot be read ({error.strerror}); allowed: a file in TOML"
    return PolicyError(f"REBALANCE_POLICY: {path}: {told}")
