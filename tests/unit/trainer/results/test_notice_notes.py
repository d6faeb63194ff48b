"""Notices of several runs under one table."""

from __future__ import annotations

from tests.data_factories import make_report
from trainer.results.compare import compare
from trainer.results.notice_notes import notice_notes
from trainer.storage.notices import Notice
from trainer.storage.tracking import CODE

VOID = Notice(code="void", text="60 % of all pixels are void", hint="label_map")
ODD = Notice(code="odd", text="something odd")
LOST = Notice(code=CODE, text="MLflow lost curves")


def test_what_all_have_is_said_without_names() -> None:
    """One line for all; a notice of some names them."""
    told = notice_notes([("a", (VOID,)), ("b", (VOID, ODD)), ("a", ()), ("b", (VOID,))])
    assert told == ("60 % of all pixels are void; hint: label_map", "b: something odd")


def test_what_mlflow_lacked_is_no_note() -> None:
    """It may have been sent since, and no score depends on it: the experiment itself says how it stands."""
    assert notice_notes([("a", (LOST, VOID)), ("b", (LOST,))]) == (f"a: {VOID}",)


def test_very_many_notices_are_cut() -> None:
    """A sweep of ten thousand trials has a table that can be read, and says where the rest is."""
    told = notice_notes((f"row {k}", (VOID, Notice(code="n", text=f"fact {k}"))) for k in range(1000))
    assert len(told) == 21
    assert told[-1] == "981 more notices are in the reports"
    some = notice_notes((f"row {k}", (VOID,) if k else ()) for k in range(1000))
    assert len(some[0]) < 200
    assert "and 991 more" in some[0]


def test_a_comparison_tells_them() -> None:
    """The notes of a comparison end with what was noticed of its experiments."""
    first = make_report("e1").model_copy(update={"notices": (VOID,)})
    second = make_report("e2").model_copy(update={"notices": (VOID, LOST, ODD)})
    notes = compare([first, second]).notes
    assert notes[-2:] == (str(VOID), "e2: something odd")
    assert compare([make_report("e1"), make_report("e2")]).notes == notes[:-2]
