"""Who may change what: the whole table."""

from __future__ import annotations

import pytest

from service.shared.access.rules import Asking, Whose, may, refusal
from service.shared.tokens import Scope

ACTIONS = ("cancel", "retry", "pause", "resume", "delete", "extend", "track", "prune")
OWN, PROJECTS, NOBODYS, OTHERS = (
    Whose("kim", "maps"),
    Whose("lee", "roads"),
    Whose(None, "maps"),
    Whose("lee", "maps"),
)
ADMIN, USER, VIEWER = (
    Asking("kim", scope, frozenset({"roads"})) for scope in (Scope.ADMIN, Scope.USER, Scope.VIEWER)
)


@pytest.mark.parametrize("action", ACTIONS)
def test_the_table(action: str) -> None:
    """Every row and column; a viewer changes not even what carries the viewer's name."""
    allowed = {
        "admin": [may(ADMIN, whose, action) for whose in (OWN, PROJECTS, NOBODYS, OTHERS)],
        "user": [may(USER, whose, action) for whose in (OWN, PROJECTS, NOBODYS, OTHERS)],
        "viewer": [may(VIEWER, whose, action) for whose in (OWN, PROJECTS, NOBODYS, OTHERS)],
    }
    assert allowed == {
        "admin": [True] * 4,
        "user": [True, True, action != "delete", False],
        "viewer": [False] * 4,
    }


def test_what_is_nobodys_in_ones_project_is_the_projects() -> None:
    """As a refusal says to those who are in none."""
    nobodys = Whose(None, "roads")
    assert may(USER, nobodys, "delete")
    stranger = Asking("max", Scope.USER)
    assert refusal(stranger, nobodys, "delete", "sweep s1") == (
        "sweep s1 is nobody's, in project roads; delete is for a member of roads or an administrator, "
        "and this token is max's"
    )


def test_nobody_is_in_no_project() -> None:
    """What has no project is not that of who has none."""
    assert not may(Asking("kim", Scope.USER), Whose("lee", None), "cancel")


def test_a_refusal_says_whose_it_is_and_who_may() -> None:
    assert refusal(USER, OTHERS, "cancel", "experiment e1") == (
        "experiment e1 is lee's, in project maps; cancel is for lee or a member of maps or an administrator, "
        "and this token is kim's"
    )
    assert refusal(USER, Whose(None, None), "delete", "sweep s1") == (
        "sweep s1 is nobody's; delete is for an administrator, and this token is kim's"
    )
    assert refusal(USER, OWN, "delete", "sweep s1") is None
