"""Who holds how much: what fair shares and quotas are counted from, while a decision is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from service.scheduling.amounts import NOTHING, UNLIMITED, Amount
from service.scheduling.snapshot import Account, Item, Snapshot


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A quota that one more would exceed."""

    account: Account
    limit: Amount
    used: Amount
    asked: Amount  # what the one may come to hold

    @property
    def missing(self) -> Amount:
        """By so much."""
        return self.asked.beyond(self.limit.minus(self.used))

    @property
    def never(self) -> bool:
        """Whether it would be exceeded by that one alone."""
        return not self.asked.within(self.limit)


class Usage:
    """What accounts hold, of what runs and of what was admitted or promised since.

    Fair shares count what is held, quotas what may come to be held.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._rules = snapshot.rules
        self._whole = snapshot.maximum
        self._held: defaultdict[Account, Amount] = defaultdict(lambda: NOTHING)
        self._counted: defaultdict[Account, Amount] = defaultdict(lambda: NOTHING)
        self._shares: defaultdict[Account, float] = defaultdict(float)  # of what is held, by weight
        for each in snapshot.running:
            self.begin(each)
        self._fair = self._fair_shares((*snapshot.running, *snapshot.waiting))

    def begin(self, item: Item) -> None:
        """It holds its request from now on, or is promised it."""
        for account in item.accounts:
            self._held[account] = self._held[account].plus(item.request)
            self._counted[account] = self._counted[account].plus(item.most)
            self._shares[account] = self._held[account].share_of(self._whole) / self._weight(account)

    def exceeded(self, item: Item) -> tuple[Exceeded, ...]:
        """The quotas that do not allow it."""
        found = []
        for account in item.accounts:
            limit = self._rules.quota(account)
            if limit is UNLIMITED:
                continue
            left = limit.minus(self._counted[account])
            if not item.most.within(left):
                found.append(Exceeded(account, limit, self._counted[account], item.most))
        return tuple(found)

    def share(self, item: Item) -> float:
        """By how much its accounts have been served, the more served of them.

        That of the user, and that of the project where it has a weight: so neither posting under many
        projects nor joining a small one puts anybody ahead of an equal.
        """
        user, *projects = item.accounts
        share = self._shares[user]
        for project in projects:
            if project in self._rules.weights:
                share = max(share, self._shares[project])
        return share

    def below_fair(self, item: Item) -> bool:
        """Whether its user holds less than a fair share of the cluster."""
        user = item.accounts[0]
        return self._shares[user] * self._weight(user) < self._fair[user] - 1e-9

    def _weight(self, account: Account) -> float:
        return self._rules.weights.get(account, 1)

    def _fair_shares(self, items: Iterable[Item]) -> dict[Account, float]:
        """By weight, among the users who have something here."""
        users = {item.accounts[0] for item in items}
        weights = {user: self._weight(user) for user in users}
        whole = sum(weights[user] for user in sorted(users))
        return {user: weight / whole for user, weight in weights.items()}
