"""Who holds how much: what fair shares and quotas are counted from, while a decision is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from service.scheduling.amounts import NOTHING, Amount
from service.scheduling.snapshot import Account, Item, Snapshot


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A quota that one more would exceed."""

    account: Account
    limit: Amount
    used: Amount
    missing: Amount  # by so much


class Usage:
    """What accounts hold, of what runs and of what was admitted or promised since.

    Fair shares count what is held, quotas what may come to be held.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._rules = snapshot.rules
        self._whole = snapshot.maximum
        self._held: defaultdict[Account, Amount] = defaultdict(lambda: NOTHING)
        self._counted: defaultdict[Account, Amount] = defaultdict(lambda: NOTHING)
        for each in snapshot.running:
            self.begin(each)
        self._fair = self._fair_shares((*snapshot.running, *snapshot.waiting))

    def begin(self, item: Item) -> None:
        """It holds its request from now on, or is promised it."""
        for account in item.accounts:
            self._held[account] = self._held[account].plus(item.request)
            self._counted[account] = self._counted[account].plus(item.most)

    def exceeded(self, item: Item) -> tuple[Exceeded, ...]:
        """The quotas that do not allow it."""
        found = []
        for account in item.accounts:
            limit, used = self._rules.quota(account), self._counted[account]
            if not item.most.within(limit.minus(used)):
                found.append(Exceeded(account, limit, used, item.most.beyond(limit.minus(used))))
        return tuple(found)

    def counted(self, account: Account) -> Amount:
        """What counts on its quota."""
        return self._counted[account]

    def share(self, item: Item) -> float:
        """By how much its accounts have been served, the more served of them.

        That of the user, and that of the project where it has a weight: so neither posting under many
        projects nor joining a small one puts anybody ahead of an equal.
        """
        return max(self._weighted(account) for account in item.accounts if self._competes(account))

    def below_fair(self, item: Item) -> bool:
        """Whether its user holds less than a fair share of the cluster."""
        user = item.accounts[0]
        return self._held[user].share_of(self._whole) < self._fair[user] - 1e-9

    def _competes(self, account: Account) -> bool:
        return account.kind == "user" or account in self._rules.weights

    def _weighted(self, account: Account) -> float:
        return self._held[account].share_of(self._whole) / self._rules.weights.get(account, 1)

    def _fair_shares(self, items: Iterable[Item]) -> dict[Account, float]:
        """By weight, among the users who have something here."""
        users = {item.accounts[0] for item in items}
        weights = {user: self._rules.weights.get(user, 1) for user in users}
        whole = sum(weights[user] for user in sorted(users))
        return {user: weight / whole for user, weight in weights.items()}
