"""The client's half about the queue as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.client.http import ApiCaller

if TYPE_CHECKING:
    from service.shared.queue.schemas import AccountsPublic, QueuePublic


class QueueCalls(ApiCaller):
    """What can be asked about the queue; errors are those of every method, see `RebalanceClient.submit`."""

    def queue(self, *, limit: int = 100) -> QueuePublic:
        """What waits, in the order in which it is looked at now, each with its reason: the first `limit`."""
        from service.shared.queue.schemas import QueuePublic

        return self.ask(QueuePublic, "GET", "/queue", params={"limit": str(limit)})

    def quotas(self) -> AccountsPublic:
        """What users and projects hold, of what they may; for administrators, where tokens are asked for."""
        from service.shared.queue.schemas import AccountsPublic

        return self.ask(AccountsPublic, "GET", "/quotas")
