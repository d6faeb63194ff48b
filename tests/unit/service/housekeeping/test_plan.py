"""What goes: a pure function, tried on many storages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.housekeeping.gc.plan import Action, Do, plan
from service.housekeeping.gc.things import Thing, things
from service.shared.keeping.retention import ALWAYS, COMMON, GcRequest, Kind, Retention
from service.store.keeping.standings import Standing
from trainer.storage.port import Listed

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SWEEP = "swp-0123456789"
IDS = ("e1", "e2", SWEEP, f"{SWEEP}-0000", f"{SWEEP}-0001", "pred-0123456789")
FILES = (
    "runs/{0}/checkpoints/iter_10.pth",
    "runs/{0}/checkpoints/final.pth",
    "runs/{0}/checkpoints/best.pth",
    "runs/{0}/checkpoints/.iter_20.pth.abcd",
    "runs/{0}/1/log.txt",
    "runs/{0}/1/report.json",
    "runs/{0}/1/.reserve",
    "runs/{0}/track/1/log.txt",
    "runs/{0}/deleted",
    "runs/{0}/followups/pred-0123456789/picture",
    "runs/{0}/followups/pred-0123456789/1/log.txt",
    "runs/{0}/followups/pred-0123456789/deleted",
    "runs/.{0}.abcd/gone/1/log.txt",
    f"sweeps/{SWEEP}/1/log.txt",
    f"sweeps/{SWEEP}/report.html",
    "weights/.resnet.pth.abcd",
    "weights/resnet.pth",
)
OLD = {kind: DAY for kind in Kind if kind not in ALWAYS} | {Kind.LEFTOVERS: DAY, Kind.DELETED: timedelta()}

ages_in_days = st.integers(0, 60)
listings = st.dictionaries(
    st.tuples(st.sampled_from(FILES), st.sampled_from(IDS)).map(lambda each: each[0].format(each[1])),
    ages_in_days,
    max_size=25,
).map(lambda found: [listed(name, days) for name, days in sorted(found.items())])
standings = st.builds(
    lambda found: {each.id: each for each in found},
    st.lists(
        st.builds(
            lambda name, busy, days, kept: Standing(name, busy, None if busy else NOW - days * DAY, kept),
            st.sampled_from(IDS),
            st.booleans(),
            ages_in_days,
            st.booleans(),
        )
    ),
)
rules = st.dictionaries(st.sampled_from(list(Kind)), ages_in_days.map(lambda days: days * DAY)).map(
    lambda found: {**found, Kind.LEFTOVERS: max(DAY, found.get(Kind.LEFTOVERS, DAY))}
)


def listed(name: str, days: float, size: int = 7) -> Listed:
    return Listed(name, size, int((NOW - days * DAY).timestamp() * 1e9))


def ended(*names: str, days: float = 100, kept: bool = False) -> dict[str, Standing]:
    return {name: Standing(name, False, NOW - days * DAY, kept) for name in names}


def paths(actions: list[Action]) -> set[str]:
    return {each.thing.path for each in actions}


def gone(names: Mapping[str, float], rows: dict[str, Standing], ages: dict[Kind, timedelta]) -> set[str]:
    return paths(plan(things([listed(*each) for each in names.items()]), rows, ages, NOW))


@given(listings, standings, rules)
def test_nothing_in_use_goes(
    found: list[Listed], rows: dict[str, Standing], ages: dict[Kind, timedelta]
) -> None:
    """Nor what is tagged `keep`, nor what of theirs lies in a folder that would."""
    for action in plan(things(found), rows, ages, NOW):
        here = action.thing.path
        inside = [each.name for each in found if each.name == here or each.name.startswith(f"{here}/")]
        assert inside
        for thing in things([listed(name, 0) for name in inside]):
            own = [rows[each] for each in (*thing.of, *action.thing.of) if each in rows]
            if action.thing.kind is not Kind.ORPHANS or thing.path == here:
                assert not any(each.busy or each.kept for each in own), action


@given(listings, standings, rules)
def test_nothing_goes_that_no_rule_names_or_before_its_time(
    found: list[Listed], rows: dict[str, Standing], ages: dict[Kind, timedelta]
) -> None:
    for action in plan(things(found), rows, ages, NOW):
        assert action.kind in ages
        own = rows.get(action.thing.of[0]) if action.thing.of else None
        if action.do is Do.REMOVE:
            since = (
                action.thing.modified_at
                if action.kind in (Kind.ORPHANS, Kind.LEFTOVERS)
                else own and own.ended_at
            )
            assert since is not None
            assert NOW - since >= ages[action.kind]
        assert action.reason


@given(listings, standings, rules, rules)
def test_older_rules_take_no_more(
    found: list[Listed], rows: dict[str, Standing], ages: dict[Kind, timedelta], other: dict[Kind, timedelta]
) -> None:
    """What goes by stricter rules goes by laxer ones too, itself or with its folder."""
    stricter = {kind: max(ages[kind], other[kind]) for kind in ages if kind in other}
    lax = paths(plan(things(found), rows, ages, NOW))
    for path in paths(plan(things(found), rows, stricter, NOW)):
        parts = path.split("/")
        assert any("/".join(parts[:end]) in lax for end in range(1, len(parts) + 1)), path


@given(listings, standings, rules)
def test_nothing_is_counted_twice(
    found: list[Listed], rows: dict[str, Standing], ages: dict[Kind, timedelta]
) -> None:
    """What is freed is no more than there is; done once, nothing is left to do."""
    actions = plan(things(found), rows, ages, NOW)
    assert sum(each.frees for each in actions) <= sum(each.bytes for each in found)
    away = {each.thing.path for each in actions if each.do is not Do.UNMARK}
    marks = {f"{each.thing.path}/deleted" for each in actions if each.do is Do.UNMARK}
    rest = [
        each
        for each in found
        if each.name not in marks
        and not any(each.name == path or each.name.startswith(f"{path}/") for path in away)
    ]
    again = plan(things(rest), rows, ages, NOW)
    assert not {each.thing.path for each in again if each.do is not Do.REMOVE}
    assert not paths(again) & away


def test_without_a_policy_only_rubbish_goes() -> None:
    """Half-written files, reserves of killed jobs, the rest of what was deleted; none before it is old."""
    names = {
        "runs/e1/1/.reserve": 2.0,
        "runs/e1/2/.reserve": 0.5,
        "runs/e1/checkpoints/iter_10.pth": 90,
        "runs/e1/1/log.txt": 90,
        "runs/.e3.abcd/gone/1/log.txt": 3,
        "runs/e4/deleted": 0,
        "runs/e4/1/log.txt": 90,
        "runs/e5/1/log.txt": 400,
        "weights/.resnet.pth.abcd": 2,
        "weights/resnet.pth": 400,
    }
    assert gone(names, ended("e1"), Retention().ages()) == {
        "runs/e1/1/.reserve",
        "runs/.e3.abcd",
        "runs/e4",
        "weights/.resnet.pth.abcd",
    }


def test_a_mark_beside_its_row_is_taken_back() -> None:
    """Once the deletion cannot be under way any more."""
    ages, rows = Retention().ages(), ended("e1")
    (action,) = plan(things([listed("runs/e1/deleted", 1)]), rows, ages, NOW)
    assert (action.do, action.frees) == (Do.UNMARK, 0)
    assert plan(things([listed("runs/e1/deleted", 0.01)]), rows, ages, NOW) == []


def test_trials_of_a_sweep_that_goes_on_stay() -> None:
    """Also those that have ended, and those whose rows are still to come."""
    names = {f"runs/{SWEEP}-0000/checkpoints/iter_1.pth": 50.0, f"runs/{SWEEP}-0001/1/log.txt": 50}
    busy = {SWEEP: Standing(SWEEP, True, None, False)}
    assert gone(names, ended(f"{SWEEP}-0000") | busy, OLD) == set()
    assert gone(names, ended(f"{SWEEP}-0000", SWEEP), OLD) == {
        f"runs/{SWEEP}-0000/checkpoints/iter_1.pth",
        f"runs/{SWEEP}-0001",
    }


def test_each_rule_takes_its_own() -> None:
    names = {name.format("e1"): 50.0 for name in FILES if "deleted" not in name and "{0}" in name}
    rows = ended("e1", "pred-0123456789")
    found = things([listed(*each) for each in names.items()])
    for kind in (Kind.CHECKPOINTS, Kind.BEST, Kind.FINAL, Kind.LOGS, Kind.PICTURES):
        only = plan(found, rows, {kind: DAY}, NOW)
        assert only
        assert {each.kind for each in only} == {kind}
        assert plan(found, rows, {kind: 200 * DAY}, NOW) == []


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        ({}, {Kind.CHECKPOINTS, *ALWAYS}),
        ({"older_than": "30d"}, {*COMMON, *ALWAYS}),
        ({"older_than": "30d", "only": ["final"]}, {Kind.FINAL}),
        ({"only": ["logs"]}, set()),
        ({"only": ["leftovers"], "older_than": 0}, {Kind.LEFTOVERS}),
    ],
)
def test_what_is_asked_for_over_the_policy(asked: dict[str, object], kinds: set[Kind]) -> None:
    """The final and the best weights go only by name; leftovers never before they are a day old."""
    ages = GcRequest.model_validate(asked).ages(Retention.model_validate({"checkpoints": "7d"}).ages())
    assert set(ages) == kinds
    assert ages.get(Kind.LEFTOVERS, DAY) == DAY


def test_a_thing_knows_what_it_hangs_on() -> None:
    (picture,) = (each for each in things([listed("runs/e1/followups/pred-1/picture", 1)]) if not each.folder)
    assert picture == Thing(Kind.PICTURES, "runs/e1/followups/pred-1/picture", ("pred-1", "e1"), 7, NOW - DAY)
