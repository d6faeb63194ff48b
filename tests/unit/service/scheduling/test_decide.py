"""What holds for every decision, whatever the snapshot."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from service.scheduling.amounts import NOTHING, Amount, total
from service.scheduling.decide import Decisions, decide
from service.scheduling.reasons import Code
from service.scheduling.snapshot import Account, Item, Snapshot, Waiting
from tests.unit.service.scheduling.snapshots import crowded, running, snapshots

Snapshots, Crowded = snapshots(), crowded()


def admitted(taken: Snapshot, decisions: Decisions) -> list[Waiting]:
    """Those that begin."""
    by_id = {each.id: each for each in taken.waiting}
    return [by_id[identifier] for identifier in decisions.admit]


def free_after(taken: Snapshot, decisions: Decisions) -> Amount:
    """What is held by nobody once those that are admitted have begun."""
    holding: list[Item] = [*taken.running, *admitted(taken, decisions)]
    return taken.capacity.minus(total(each.request for each in holding))


def counted(taken: Snapshot, account: Account, among: list[Item]) -> Amount:
    """What those of an account may come to hold together."""
    return total(each.most for each in among if account in each.accounts)


@given(Snapshots)
def test_never_more_than_there_is(taken: Snapshot) -> None:
    """What runs and what begins fits into the cluster, each with all its workers."""
    assert all(number >= 0 for number in free_after(taken, decide(taken)))


@given(Snapshots)
def test_no_quota_is_exceeded(taken: Snapshot) -> None:
    """With those that begin every account of theirs is within its quota."""
    begun = admitted(taken, decide(taken))
    for one in begun:
        for account in one.accounts:
            after = counted(taken, account, [*taken.running, *begun])
            held = counted(taken, account, list(taken.running))
            limit = taken.rules.quota(account)
            kinds = zip(after, held, limit, strict=True)
            assert all(now <= most or now == before for now, before, most in kinds)


@given(Snapshots)
def test_each_waiting_one_is_answered_once(taken: Snapshot) -> None:
    """It begins, gives up, or waits for one reason, which has words."""
    decisions = decide(taken)
    answered = [*decisions.admit, *decisions.expire, *decisions.reasons]
    assert sorted(answered) == sorted(each.id for each in taken.waiting)
    for reason in decisions.reasons.values():
        assert reason.text
        assert reason.would_run
        assert "inf" not in reason.text + reason.would_run


@given(Snapshots, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(taken: Snapshot, random: st.Random) -> None:
    """Nor is anything drawn: the same moment has one decision."""
    shuffled = replace(
        taken,
        running=tuple(random.sample(taken.running, len(taken.running))),
        waiting=tuple(random.sample(taken.waiting, len(taken.waiting))),
    )
    first, second = decide(taken), decide(shuffled)
    assert first == second
    assert list(first.reasons) == list(second.reasons)


@given(Snapshots)
def test_nothing_is_idle_that_somebody_could_use(taken: Snapshot) -> None:
    """Who waits does not fit into what is left, or a quota is used up, or what is left is kept or promised,
    and then for somebody who waits as well.
    """
    decisions = decide(taken)
    by_id = {each.id: each for each in taken.waiting}
    left = free_after(taken, decisions)
    codes = [reason.code for reason in decisions.reasons.values()]
    for identifier, reason in decisions.reasons.items():
        if by_id[identifier].request.within(left):
            assert reason.code in (Code.QUOTA, Code.RESERVED, Code.MAKING_ROOM) or Code.MAKING_ROOM in codes
        if reason.code is Code.RESERVED:
            assert {Code.CAPACITY, Code.MAX_RUNNING} & set(codes)


def begins_before(decisions: Decisions, identifier: str) -> set[str]:
    """Those that are admitted before its turn."""
    return {*decisions.turns[: decisions.turns.index(identifier)]} & {*decisions.admit}


def under(taken: Snapshot, identifier: str) -> Snapshot:
    """The snapshot, were it as a reason in it asks for, and its turn.

    Of those before it who was promised room has begun, somewhere else; the others have left. Those behind it
    are left aside: who begins changes shares, and by them the order of turns. All of them stay in the books,
    holding nothing: fair shares are counted among those who have something here.
    """
    decisions = decide(taken)
    remedy, reason = decisions.remedy(identifier, taken), decisions.reasons[identifier]
    users = {a.name: limit for a, limit in remedy.quotas.items() if a.kind == "user"}
    projects = {a.name: limit for a, limit in remedy.quotas.items() if a.kind == "project"}
    rules = taken.rules
    beginning = {*begins_before(decisions, identifier), identifier}
    begun = []
    for each in taken.waiting:
        if each.id in beginning:
            continue
        promised = each.id in remedy.gone and decisions.reasons[each.id].code is Code.MAKING_ROOM
        holds = (each.request, each.most) if promised else (NOTHING, NOTHING)
        held = running(f"of {each.id}", user=each.user, project=each.project)
        begun.append(replace(held, request=holds[0], most=holds[1]))
    return replace(
        taken,
        capacity=total([taken.capacity, remedy.more, *(each.request for each in begun)]),
        running=(*taken.running, *begun),
        maximum=taken.maximum.plus(remedy.more if reason.code is Code.TOO_LARGE else NOTHING),
        waiting=tuple(each for each in taken.waiting if each.id in beginning),
        rules=replace(rules, users={**rules.users, **users}, projects={**rules.projects, **projects}),
    )


@given(Snapshots)
def test_every_reason_is_true(taken: Snapshot) -> None:
    """Were what it names so, that one would begin in its turn, and all that begin before it as well."""
    for identifier, reason in decide(taken).reasons.items():
        changed = decide(under(taken, identifier))
        if reason.code is not Code.TOO_LARGE:
            assert set(changed.admit) == {*begins_before(decide(taken), identifier), identifier}, reason
        elif identifier in changed.reasons:  # possible by now; its turn may still come late
            assert changed.reasons[identifier].code is not Code.TOO_LARGE


@given(Snapshots)
def test_nothing_less_would_do(taken: Snapshot) -> None:
    """Of the first for which there is no room: with less than its reason names, it waits on."""
    decisions = decide(taken)
    for identifier, reason in decisions.reasons.items():
        if reason.code not in (Code.CAPACITY, Code.MAX_RUNNING) or reason.after_others:
            continue
        changed = under(taken, identifier)
        less = changed.capacity.minus(Amount(*(min(each, 0.125) for each in reason.more)))
        assert identifier not in decide(replace(changed, capacity=less)).admit


@given(Snapshots, st.sampled_from([1, 50, 100]))
def test_a_higher_priority_never_waits_longer(taken: Snapshot, more: int) -> None:
    """Who begins would begin as well with a higher priority."""
    for identifier in decide(taken).admit:
        raised = tuple(
            replace(each, priority=each.priority + more) if each.id == identifier else each
            for each in taken.waiting
        )
        assert identifier in decide(replace(taken, waiting=raised)).admit


@given(Crowded)
def test_only_lower_preemptible_ones_are_stopped_and_only_where_it_suffices(taken: Snapshot) -> None:
    """Each for one of higher priority, which begins once they have ended."""
    decisions = decide(taken)
    by_id: dict[str, Item] = {each.id: each for each in (*taken.running, *taken.waiting)}
    stopped = {each.id for each in decisions.preempt}
    assert len(stopped) == len(decisions.preempt)
    for each in taken.running:
        if each.id in stopped:
            assert each.preemptible
            assert not each.leaving
            assert taken.now - each.started_at >= taken.rules.protected
    for one in decisions.preempt:
        assert by_id[one.id].priority < by_id[one.by].priority
        assert decisions.reasons[one.by].code is Code.MAKING_ROOM
    goes = [each for each in taken.running if each.id in stopped or each.leaving]
    ended = {each.id: replace(each, preemptible=False, leaving=False, ends_at=None) for each in goes}
    later = replace(  # their room is free; they stay in the books, so that shares are as they were
        taken,
        capacity=taken.capacity.plus(total(each.request for each in goes)),
        running=tuple(ended.get(each.id, each) for each in taken.running),
    )
    assert {one.by for one in decisions.preempt} <= set(decide(later).admit)


@given(Crowded)
def test_nobody_is_stopped_who_could_stay(taken: Snapshot) -> None:
    """Were one of those spared that go for another, that other would not fit."""
    decisions = decide(taken)
    by_id: dict[str, Item] = {each.id: each for each in (*taken.running, *taken.waiting)}
    goes = {each.id for each in decisions.preempt} | {each.id for each in taken.running if each.leaving}
    promised = [each for each, reason in decisions.reasons.items() if reason.code is Code.MAKING_ROOM]
    left = free_after(taken, decisions).plus(total(by_id[each].request for each in goes))
    spare = left.minus(total(by_id[each].request for each in promised))
    for one in decisions.preempt:
        if len({each.by for each in decisions.preempt}) == 1:
            assert not by_id[one.id].request.within(spare)


@given(Crowded)
def test_nobody_is_stopped_twice_for_the_same(taken: Snapshot) -> None:
    """In the next pass those that were told to stop are on their way, and no others are told."""
    first = decide(taken)
    stopped = {each.id for each in first.preempt}
    begun = admitted(taken, first)
    following = replace(
        taken,
        capacity=taken.capacity.minus(total(each.request for each in begun)),
        running=tuple(replace(each, leaving=each.leaving or each.id in stopped) for each in taken.running),
        waiting=tuple(each for each in taken.waiting if each.id in first.reasons),
    )
    assert not {each.by for each in decide(following).preempt} & {each.by for each in first.preempt}
