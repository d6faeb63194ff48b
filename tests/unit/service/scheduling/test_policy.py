"""Each rule of the queue on a small example, with the words that people read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from service.scheduling.amounts import UNLIMITED, Amount
from service.scheduling.decide import Preemption, decide
from service.scheduling.reasons import Code
from service.scheduling.snapshot import Account
from tests.unit.service.scheduling.snapshots import CAPACITY, HOUR, NOW, RULES, running, snapshot, waiting

MINUTE = timedelta(minutes=1)


def test_higher_priorities_go_first_then_the_oldest() -> None:
    """All else being equal, in the order in which they were posted."""
    rows = [
        waiting("old", ago=3 * HOUR),
        waiting("new", ago=HOUR),
        waiting("high", priority=50),
        waiting("low", priority=-50),
    ]
    assert decide(snapshot(*rows)).admit == ("high", "old", "new", "low")


def test_who_holds_less_goes_first() -> None:
    """Turns alternate between equals, however many one of them has posted, and however early."""
    rows = [waiting(f"a{n}", ago=5 * HOUR) for n in range(6)]
    rows += [waiting(f"b{n}", user="bob") for n in range(2)]
    assert decide(snapshot(*rows)).admit == ("a0", "b0", "a1", "b1", "a2", "a3")


def test_weights_count() -> None:
    """Twice the weight, twice the share."""
    rules = replace(RULES, weights={Account("user", "ann"): 2})
    rows = [waiting(f"a{n}") for n in range(6)] + [waiting(f"b{n}", user="bob") for n in range(6)]
    begun = decide(snapshot(*rows, rules=rules)).admit
    assert sum(each.startswith("a") for each in begun) == 4


def test_the_dominant_share_counts() -> None:
    """Who holds many CPUs and no GPU is served after who holds less of the scarcer."""
    rows = [
        running("cpus", 0, user="ann", request=Amount(0, 16, 1)),
        running("gpus", 2, user="bob"),
        waiting("a"),
        waiting("b", user="bob", ago=MINUTE),
    ]
    assert decide(snapshot(*rows)).admit == ("b", "a")


@pytest.mark.parametrize(("weights", "first"), [({}, "many"), ({Account("project", "roads"): 1.0}, "one")])
def test_a_project_with_a_weight_competes_as_one(weights: dict[Account, float], first: str) -> None:
    """Its members stand behind others once it has been served, each of them alone or not at all."""
    rows = [
        running("held", 4, user="ann", project="roads"),
        waiting("many", user="eve", project="roads", ago=2 * HOUR),
        waiting("one", user="bob"),
    ]
    assert decide(snapshot(*rows, rules=replace(RULES, weights=weights))).admit[0] == first


def test_a_quota_bounds_what_one_may_come_to_hold() -> None:
    """A sweep takes one trial's GPU at first, and may come to take four: what counts is the latter."""
    rules = replace(RULES, any_user=Amount(4, UNLIMITED.cpus, UNLIMITED.places))
    sweep = waiting("sweep", 1, most=Amount(4, 8, 1))
    decisions = decide(snapshot(running("held", 1, user="ann"), sweep, rules=rules))
    reason = decisions.reasons["sweep"]
    assert reason.code is Code.QUOTA
    assert reason.text == "user ann has 1 of 4 GPUs, its quota"
    assert reason.would_run == "once user ann has 1 GPU less in use, or so much more as quota"


def test_what_no_quota_would_ever_allow() -> None:
    """That others end would not help, and is not said."""
    rules = replace(RULES, any_user=Amount(4, UNLIMITED.cpus, UNLIMITED.places))
    sweep = waiting("sweep", 1, most=Amount(8, 8, 1))
    (reason,) = decide(snapshot(sweep, rules=rules)).reasons.values()
    assert reason.text == "may come to hold 8 GPUs, and user ann may have 4, its quota"
    assert reason.would_run == (
        "once the quota of user ann is 4 GPUs more (a sweep asks for less by concurrent_trials)"
    )


def test_quotas_by_name_go_before_the_general_one() -> None:
    """Of users and of projects, each of which must allow it."""
    only_two = Amount(UNLIMITED.gpus, UNLIMITED.cpus, 2)
    rules = replace(RULES, any_user=only_two, users={"ann": UNLIMITED}, projects={"roads": only_two})
    rows = [waiting(f"a{n}", project="roads") for n in range(3)]
    rows += [waiting(f"b{n}", user="bob") for n in range(3)]
    decisions = decide(snapshot(*rows, rules=rules))
    assert {one: reason.text for one, reason in decisions.reasons.items()} == {
        "a2": "project roads has 2 of 2 at once, its quota",
        "b2": "user bob has 2 of 2 at once, its quota",
    }


def test_words_of_the_first_and_of_those_behind_it() -> None:
    """The first says what is missing; the others that they come later."""
    rows = [running("held", 6), waiting("first", 4, ago=2 * HOUR), waiting("second", 3)]
    first, second = decide(snapshot(*rows)).reasons.values()
    assert first.text == "asks for 4 GPUs and 1 CPU; 2 GPUs and 31 CPUs of 8 GPUs and 32 CPUs are free"
    assert first.would_run == "once there is room for 2 GPUs more"
    assert second.code is Code.BEHIND
    assert second.text == "asks for 3 GPUs and 1 CPU, and others come before it"
    assert second.would_run == "once those before it have begun, and there is room for 1 GPU more"


def test_words_where_all_places_are_taken() -> None:
    """The first says so."""
    rows = [running(f"r{n}", 0) for n in range(6)] + [waiting("w", 1)]
    (reason,) = decide(snapshot(*rows)).reasons.values()
    assert reason.code is Code.MAX_RUNNING
    assert reason.text == "6 of 6 are running"
    assert reason.would_run == "once one of them ends"


def test_what_the_cluster_can_never_give() -> None:
    """It is said, and keeps nobody waiting."""
    decisions = decide(snapshot(waiting("huge", 9, ago=2 * HOUR), waiting("small")))
    assert decisions.admit == ("small",)
    reason = decisions.reasons["huge"]
    assert reason.text == "asks for 9 GPUs and 1 CPU; the cluster has, or may have, 8 GPUs and 32 CPUs"
    assert reason.would_run == "once the cluster has 1 GPU more"


def test_shorter_ones_pass_where_they_put_nothing_off() -> None:
    """The large one begins in two hours, when the other ends: who is done by then may use what is idle."""
    rows = [
        running("held", 6, ends_at=NOW + 2 * HOUR),
        waiting("large", 8, ago=3 * HOUR),
        waiting("long", 1, max_duration=3 * HOUR),
        waiting("unknown", 1),
        waiting("short", 1, max_duration=2 * HOUR),
    ]
    decisions = decide(snapshot(*rows))
    assert decisions.admit == ("short",)
    reason = decisions.reasons["long"]
    assert reason.text == "there is room, but it is kept for a larger one that comes before it"
    assert reason.would_run == (
        "once those before it have begun; or with a max_duration that ends before 2026-01-02 14:00 UTC"
    )
    assert decisions.reasons["large"].would_run == (
        "once there is room for 6 GPUs more, which is expected by 2026-01-02 14:00 UTC"
    )


def test_what_the_large_one_leaves_may_be_used_for_long() -> None:
    """Of eight GPUs it takes six: one beside it puts nothing off, a third one would."""
    rows = [running("held", 4, ends_at=NOW + HOUR), waiting("large", 6, ago=3 * HOUR)]
    rows += [waiting(f"w{n}", 1, ago=(9 - n) * MINUTE) for n in range(3)]
    assert decide(snapshot(*rows)).admit == ("w0", "w1")


def test_without_durations_others_pass_for_a_while() -> None:
    """Nobody knows when the large one begins: for its patience it lets others pass, then no more."""
    rows = [running("held", 6), waiting("large", 8, ago=HOUR), waiting("small", 1, ago=MINUTE)]
    assert decide(snapshot(*rows)).admit == ("small",)
    later = decide(snapshot(*rows, now=NOW + HOUR))
    assert later.admit == ()
    assert later.reasons["small"].code is Code.RESERVED
    assert later.reasons["small"].would_run == "once those before it have begun"


def test_what_the_large_one_does_not_need_is_never_kept() -> None:
    """Experiments on CPUs pass one that waits for GPUs."""
    rows = [running("held", 6), waiting("large", 8, ago=9 * HOUR), waiting("cpus", 0)]
    assert decide(snapshot(*rows)).admit == ("cpus",)


def test_who_has_waited_too_long_goes_first_while_below_a_fair_share() -> None:
    """A low priority is no sentence; a backlog of somebody who has plenty is no merit."""
    rows = [
        running("held", 4, user="bob"),
        waiting("low", user="ann", priority=-50, ago=25 * HOUR),
        waiting("backlog", 4, user="bob", ago=30 * HOUR),
        waiting("high", 4, user="eve", priority=50),
    ]
    assert decide(snapshot(*rows)).admit == ("low",)
    first, second = decide(snapshot(*rows)).reasons
    assert (first, second) == ("high", "backlog")


def test_who_wants_to_wait_no_longer_gives_up() -> None:
    """At the moment when its time is over, also where there would be room."""
    rows = [waiting("w", ago=HOUR, max_wait=HOUR), waiting("v", ago=HOUR, max_wait=HOUR + MINUTE)]
    decisions = decide(snapshot(*rows))
    assert (decisions.expire, decisions.admit) == (("w",), ("v",))


def test_who_lasts_too_long_is_to_stop() -> None:
    """Once: not again while it is on its way."""
    rows = [
        running("late", ends_at=NOW),
        running("stopping", ends_at=NOW, leaving=True),
        running("not yet", ends_at=NOW + MINUTE),
    ]
    assert decide(snapshot(*rows)).overdue == ("late",)


def test_the_least_loss_is_preempted() -> None:
    """Of those that may be: the lowest priority, then who began last; and no more than needed."""
    rows = [
        running("normal", 3, preemptible=True),
        running("low, long", 2, priority=-50, ago=9 * HOUR, preemptible=True),
        running("low, short", 2, priority=-50, ago=HOUR, preemptible=True),
        running("fixed", 1, priority=-50),
        waiting("high", 2, priority=50),
    ]
    decisions = decide(snapshot(*rows))
    assert decisions.preempt == (Preemption("low, short", by="high"),)
    assert decisions.reasons["high"].code is Code.MAKING_ROOM


@pytest.mark.parametrize(
    "row",
    [
        running("r", 8, preemptible=False),
        running("r", 8, preemptible=True, priority=50),
        running("r", 8, preemptible=True, ago=9 * MINUTE),
        running("r", 8, preemptible=True, ago=40 * HOUR, started_at=NOW - HOUR),
        running("r", 7, preemptible=True),
    ],
    ids=["not preemptible", "not lower", "just begun", "waited long itself", "would not suffice"],
)
def test_who_is_not_preempted(row: object) -> None:
    """Nobody is stopped against its spec, for an equal, at once, after long waiting, or in vain."""
    assert isinstance(row, type(running("r")))
    rows = [row, running("other", 1), waiting("high", 8, priority=50)]
    capacity = CAPACITY.plus(Amount(1, 0, 0)) if row.request.gpus == 8 else CAPACITY
    assert decide(snapshot(*rows, capacity=capacity)).preempt == ()


def test_room_that_comes_anyway_is_promised() -> None:
    """One that is being stopped makes room: nobody else is, and nobody overtakes."""
    rows = [
        running("stopping", 4, leaving=True),
        running("low", 4, priority=-50, preemptible=True),
        waiting("high", 4, priority=50),
        waiting("other", 1, priority=-50),
    ]
    decisions = decide(snapshot(*rows))
    assert decisions.preempt == ()
    assert [reason.code for reason in decisions.reasons.values()] == [Code.MAKING_ROOM, Code.CAPACITY]


def test_without_limits_everything_begins() -> None:
    """Where nobody knows what there is, only the number of places counts."""
    unknown = Amount(UNLIMITED.gpus, UNLIMITED.cpus, 2)
    decisions = decide(snapshot(*[waiting(f"w{n}", 64) for n in range(3)], capacity=unknown))
    assert decisions.admit == ("w0", "w1")
    assert decisions.reasons["w2"].text == "2 of 2 are running"
