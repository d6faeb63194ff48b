"""What goes into the store comes out of it, on both databases the same: text, numbers, times, order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from service.shared.states import State
from service.store.records import BadCursor, Cursor, Filters, Move, Outcome
from tests.unit.service.conftest import START, World, new_row

LATER = START + timedelta(seconds=1)
ODD_TEXT = [
    "",
    " ",
    "it's",
    'a "b" \\ %s %(x)s :y ?',
    "λ → Δ 日本語 🎉",
    "a\nb\tc",
    "x" * 100_000,
    "NULL",
    "\x01\x7f",
]
# Names that servers sort in ways of their own: by case, by accents, with punctuation left out.
MIXED = ["B", "a", "b", "A", "é", "e", "z", "Z", "ß", "_", "-", "a-b", "ab", "aB", "10", "9", "日", "🎉"]


@pytest.mark.parametrize("text", ODD_TEXT)
def test_text_comes_back_as_it_was(world: World, text: str) -> None:
    """Quotes, placeholders, every script, and length: reasons and messages are kept letter by letter."""
    row = world.add(state=State.SUBMITTED)
    outcome = Outcome(error_type="DataError", error_message=text)
    row = world.store.transition(row, to=State.FAILED, reason=text, now=LATER, outcome=outcome)
    assert row.error_message == text
    assert world.reasons()[-1] == text


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("a\0b", r"a\u0000b"),
        ("\udcff.png", r"\udcff.png"),
        ("\ud83c", r"\ud83c"),
        ("\0" * 300, r"\u0000" * 300),
    ],
)
def test_what_no_database_takes_is_escaped(world: World, told: str, kept: str) -> None:
    """A job's message with U+0000 or half a surrogate pair (a file's name) does not keep it from ending."""
    row = world.add(state=State.SUBMITTED)
    outcome = Outcome(error_type=told, error_message=told, mlflow_run_id=told)
    row = world.store.transition(row, to=State.FAILED, reason=told, now=LATER, outcome=outcome)
    assert (row.error_type, row.error_message, row.mlflow_run_id) == (kept[:200], kept, kept[:64])
    assert world.reasons()[-1] == kept


def test_an_error_type_longer_than_its_column_is_cut(world: World) -> None:
    """SQLite would keep it, Postgres refuse it, and with it the end of the experiment."""
    row = world.add(state=State.SUBMITTED)
    outcome = Outcome(error_type="E" * 300)
    row = world.store.transition(row, to=State.FAILED, reason="", now=LATER, outcome=outcome)
    assert row.error_type == "E" * 200


def test_numbers_that_are_no_json_are_kept_as_null(world: World) -> None:
    """A loss of NaN in the last line of the curves does not keep an experiment from ending."""
    row = world.add(state=State.SUBMITTED)
    progress = {"iteration": 2**53, "iterations": 10**12, "loss": float("nan"), "each": [float("nan"), 1.5]}
    outcome = Outcome(progress=progress, headline={"mIoU": float("inf"), "mAcc": -0.0, "aAcc": 1e-300})
    row = world.store.transition(row, to=State.FAILED, reason="", now=LATER, outcome=outcome)
    assert row.progress == progress | {"loss": None, "each": [None, 1.5]}
    assert row.headline == {"mIoU": None, "mAcc": 0.0, "aAcc": 1e-300}


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # an hour that Europe's clocks show twice
        datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(9998, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
def test_times_are_utc_to_the_microsecond(world: World, moment: datetime) -> None:
    """Whatever zone they were given in, and whatever the server's is."""
    world.add(created_at=moment)
    found = world.store.get("e1").created_at
    assert found == moment
    assert found.utcoffset() == timedelta(0)
    (first, *_), _ = world.store.history("e1", after=0, limit=1)
    assert first.at == moment


def test_pages_give_all_once_however_the_server_sorts(world: World) -> None:
    """Ids that differ in case, accents or punctuation, all of one time: the cursor leaves none out."""
    for name in MIXED:
        world.add(name)
    found: list[str] = []
    cursor = None
    while True:
        rows, cursor = world.store.page(Filters(), cursor=cursor, limit=3)
        found += [row.id for row in rows]
        if cursor is None:
            break
    assert sorted(found) == sorted(MIXED)


def test_equal_is_letter_by_letter(world: World) -> None:
    """Neither case nor accents nor the way an accent is written make two tags, methods or keys one."""
    values = ["Team", "team", "TEAM", "é", "e\N{COMBINING ACUTE ACCENT}", "te%m", "te_m", "team "]
    for number, value in enumerate(values):
        row = new_row(f"e{number}", idempotency_key=value.encode().hex())
        world.store.create(row, new_tags={"key": value})
    for number, value in enumerate(values):
        wanted = Filters(tags=[("key", value)])
        assert [row.id for row in world.store.page(wanted, cursor=None, limit=9)[0]] == [f"e{number}"]
    for odd in ("KEY", "%", "k_y", "' OR 1=1 --", "🎉"):
        assert world.store.page(Filters(tags=[(odd, None)]), cursor=None, limit=9)[0] == []


def test_the_longest_that_a_spec_may_say_fits(world: World) -> None:
    """Every column and index takes what the API lets through, in letters of four bytes."""
    tags = {f"{number:02}" + "k" * 98: "🎉" * 500 for number in range(50)}
    row = new_row("e" * 64, name="🎉" * 200, idempotency_key="~" * 255, request_hash="f" * 64)
    world.store.create(row, new_tags=tags)
    key, value = next(iter(tags.items()))
    (found,), _ = world.store.page(Filters(tags=[(key, value)]), cursor=None, limit=9)
    assert found == row
    assert world.store.find_request("~" * 255) == row


@pytest.mark.parametrize("after", [2**31, 2**62])
def test_numbers_beyond_a_column_find_nothing(world: World, after: int) -> None:
    """A cursor larger than any id is past the end, and no error."""
    world.add()
    assert world.store.history("e1", after=after, limit=5) == ([], None)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_cursor_outside_of_time_is_refused(at: str) -> None:
    """In UTC there is no such moment."""
    import base64

    with pytest.raises(BadCursor):
        Cursor.decode(base64.urlsafe_b64encode(f"{at} e1".encode()).decode())


def test_events_follow_each_other_as_they_happened(world: World) -> None:
    """Several steps at once keep their order; pages of one go through all of them."""
    row = world.add(sweep_id="s", trial=1)
    steps = ((State.SUBMITTED, "one"), (State.RUNNING, "two"), (State.COMPLETED, "three"))
    assert world.store.follow([Move(row, 1, steps, Outcome())], now=LATER) == 1
    told: list[str] = []
    after: int | None = 0
    while after is not None:
        events, after = world.store.history("e1", after=after, limit=1)
        told += [event.reason for event in events]
    assert told == ["stored", "one", "two", "three"]
