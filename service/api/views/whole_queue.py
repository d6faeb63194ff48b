"""The queue as a whole, as it stands now: decided anew for who asks, by what the reconciler decides by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import isinf

from service.reconcile.cluster import BackendUnreachable
from service.reconcile.queue.admission import told_of
from service.reconcile.queue.snapshots import Room, snapshot_of
from service.scheduling.amounts import UNLIMITED, Amount, total
from service.scheduling.decide import Decisions, decide
from service.scheduling.policy import Current, PolicyFile
from service.scheduling.snapshot import Account, Item, Rules, Snapshot
from service.shared.queue.schemas import AccountPublic, AccountsPublic, AmountPublic, InQueue, QueuePublic
from service.shared.schemas import WaitingPublic
from service.store.queue.lines import Line, QueueLines


class WholeQueue:
    """Answers from the database, the cluster and the administrators' file. Any thread may ask."""

    def __init__(self, lines: QueueLines, room: Room, policy: PolicyFile) -> None:
        self._lines = lines
        self._room = room
        self._policy = policy

    def trouble(self) -> str | None:
        """Why the administrators' file is not what holds, if so."""
        return self._policy.current().trouble

    def queue(self, now: datetime, *, limit: int) -> QueuePublic:
        """Those that wait, the first `limit` of them."""
        lines = self._lines.live()
        snapshot, trouble = self._snapshot(lines, now)
        decisions = decide(snapshot)
        by_id = {line.id: line for line in lines}
        order = [*decisions.admit, *decisions.reasons, *decisions.expire]
        order += [line.id for line in lines if line.waits and not line.waits_at(now)]  # after a failure
        held = total(each.request for each in snapshot.running)
        return QueuePublic(
            items=tuple(
                _in_queue(position, by_id[identifier], decisions)
                for position, identifier in enumerate(order[:limit], start=1)
            ),
            waiting=len(order),
            running=len(snapshot.running),
            capacity=amount_public(snapshot.capacity),
            free=amount_public(snapshot.capacity.minus(held)),
            trouble=trouble,
        )

    def accounts(self, now: datetime) -> AccountsPublic:
        """What users and projects hold, of what they may; who holds most first."""
        snapshot, trouble = self._snapshot(self._lines.live(), now)
        rules = snapshot.rules
        items: Sequence[Item] = (*snapshot.running, *snapshot.waiting)
        known = {account for item in items for account in item.accounts} | _named(rules)
        found = [_account(account, snapshot) for account in known]
        found.sort(key=lambda each: (each.kind != "user", -each.share, each.name))
        counts = self._policy.current().count_capacity
        return AccountsPublic(items=tuple(found), counts_capacity=counts, trouble=trouble)

    def _snapshot(self, lines: Sequence[Line], now: datetime) -> tuple[Snapshot, str | None]:
        """With why it is not as it should be, if so: without the cluster, nobody knows what there is."""
        current: Current = self._policy.current()
        try:
            whole, trouble = self._room.whole(current), current.trouble
        except BackendUnreachable as error:
            whole, trouble = UNLIMITED, f"Ray cannot be reached: {error}"
        return snapshot_of(lines, whole, current, now), trouble


def amount_public(amount: Amount) -> AmountPublic:
    """As JSON has it: what is without a limit is null."""
    gpus, cpus, places = (None if isinf(number) else max(0.0, number) for number in amount)
    return AmountPublic(gpus=gpus, cpus=cpus, places=places)


def _in_queue(position: int, line: Line, decisions: Decisions) -> InQueue:
    return InQueue(
        position=position,
        kind=line.kind,
        id=line.id,
        name=line.name,
        user=line.owner,
        project=line.project,
        priority=line.priority,
        asks=AmountPublic(gpus=line.gpus, cpus=line.cpus, places=1),
        waiting=WaitingPublic(**_why(line, decisions), since=line.since),
    )


def _why(line: Line, decisions: Decisions) -> Mapping[str, str | None]:
    reason = decisions.reasons.get(line.id)
    if reason is not None:
        return told_of(reason)
    if line.id in decisions.expire:
        return {"code": "expired", "reason": "it has waited longer than its max_wait", "would_run": None}
    if line.wait_reason is not None and line.id not in decisions.admit:
        return {name: line.wait_reason.get(name) for name in ("code", "reason", "would_run")}
    return {"code": "next", "reason": "it begins now", "would_run": None}


def _named(rules: Rules) -> set[Account]:
    users = {Account("user", name) for name in rules.users}
    return users | {Account("project", name) for name in rules.projects}


def _account(account: Account, snapshot: Snapshot) -> AccountPublic:
    running, waiting = _of(account, snapshot.running), _of(account, snapshot.waiting)
    held = total(each.request for each in running)
    return AccountPublic(
        kind=account.kind,
        name=account.name,
        used=amount_public(total(each.most for each in running)),
        quota=amount_public(snapshot.rules.quota(account)),
        share=min(1.0, held.share_of(snapshot.maximum)),
        weight=snapshot.rules.weights.get(account, 1),
        running=len(running),
        waiting=len(waiting),
    )


def _of(account: Account, items: Iterable[Item]) -> list[Item]:
    return [item for item in items if account in item.accounts]
