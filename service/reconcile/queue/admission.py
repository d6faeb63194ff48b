"""What the queue decides is done: jobs are submitted, stopped and given up, and who waits is told why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from service.reconcile.cluster import BackendUnreachable
from service.reconcile.job_follower import JobFollower
from service.reconcile.passes.cluster_link import BackendLink
from service.reconcile.queue.snapshots import Room, snapshot_of
from service.scheduling.decide import Decisions, decide
from service.scheduling.policy import PolicyFile
from service.scheduling.reasons import Reason
from service.store.jobs import StopColumn
from service.store.queue.lines import Kind, Line, QueueLines

_ROUNDS = 10  # so many that cannot be submitted keep nobody behind them waiting
_TOLD_AT_ONCE = 500  # reasons that are stored in a pass

log = logging.getLogger(__name__)


class Admission:
    """The step of a pass in which whatever may begin does. Remembers nothing but what saves a question."""

    def __init__(
        self,
        lines: QueueLines,
        followers: Mapping[Kind, JobFollower[Any]],
        cluster: BackendLink,
        room: Room,
        policy: PolicyFile,
    ) -> None:
        self._lines = lines
        self._followers = followers
        self._cluster = cluster
        self._room = room
        self._policy = policy

    def settle(self, now: datetime, check_lead: Callable[[], None]) -> None:
        """Decides and acts. `check_lead` is asked before each row, and raises where it is not ours to act."""
        lines = self._lines.live()
        if not any(line.waits_at(now) or line.max_duration for line in lines):
            return
        stuck: set[str] = set()
        for _ in range(_ROUNDS):
            decisions = self._decided(lines, now, stuck)
            if decisions is None:
                return
            by_id = {line.id: line for line in lines}
            failed = self._act(decisions, by_id, now, check_lead)
            if not self._cluster.reachable:
                return
            if not failed:
                self._explain(by_id, decisions.reasons)
                return
            stuck.update(failed)
            lines = self._lines.live()

    def _decided(self, lines: Sequence[Line], now: datetime, without: set[str]) -> Decisions | None:
        """None where nothing can be decided: what there is counts, and the cluster does not say."""
        current = self._policy.current()
        try:
            whole = self._room.whole(current)
        except BackendUnreachable as error:
            self._cluster.note_unreachable(str(error))
            return None
        return decide(snapshot_of(lines, whole, current, now, without=without))

    def _act(
        self,
        decisions: Decisions,
        by_id: Mapping[str, Line],
        now: datetime,
        check_lead: Callable[[], None],
    ) -> list[str]:
        """The ids of those that should have been submitted, and could not be."""
        for identifier in decisions.expire:
            check_lead()
            follower, row = self._row(by_id[identifier])
            follower.give_up(row, _why(by_id[identifier]), now)
        for each in decisions.preempt:
            check_lead()
            reason = f"to be stopped for {each.by}, which has a higher priority"
            self._stop(by_id[each.id], "preempt_requested_at", reason, now)
        for identifier in decisions.overdue:
            check_lead()
            reason = (
                f"to be stopped: it lasts longer than its max_duration of {by_id[identifier].max_duration} s"
            )
            self._stop(by_id[identifier], "timeout_requested_at", reason, now)
        failed = []
        for identifier in decisions.admit:
            check_lead()
            follower, row = self._row(by_id[identifier])
            if not follower.submit(row, now):
                failed.append(identifier)
        return failed

    def _stop(self, line: Line, column: StopColumn, reason: str, now: datetime) -> None:
        follower, row = self._row(line)
        follower.ask_to_stop(row, column, reason, now)

    def _row(self, line: Line) -> tuple[JobFollower[Any], Any]:
        follower = self._followers[line.kind]
        return follower, follower.ledger.get(line.id)

    def _explain(self, by_id: Mapping[str, Line], reasons: Mapping[str, Reason]) -> None:
        """Stores what is new of the reasons, of the first in the queue first."""
        news: dict[Kind, dict[str, dict[str, Any]]] = {}
        left = _TOLD_AT_ONCE
        for identifier, reason in reasons.items():
            line = by_id[identifier]
            told = told_of(reason)
            if told != line.wait_reason:
                news.setdefault(line.kind, {})[identifier] = told
                left -= 1
            if not left:
                break
        self._lines.explain(news)


def told_of(reason: Reason) -> dict[str, Any]:
    """As it is stored, and shown beside since when it waits."""
    return {"code": str(reason.code), "reason": reason.text, "would_run": reason.would_run}


def _why(line: Line) -> str:
    return str((line.wait_reason or {}).get("reason", "there was no room"))
