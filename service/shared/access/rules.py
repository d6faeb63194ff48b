"""Who may change what, where tokens are asked for: a pure function of who asks and whose it is.

| who asks | what is theirs or their project's | what is nobody's | what is others' |
|---|---|---|---|
| admin | every change | every change | every change |
| user | every change | every change but deleting | none |
| viewer | none | none | none |

Everybody reads everything. Nobody's is what was stored while no token was asked for, or adopted.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.shared.tokens import Scope

DELETE = "delete"


@dataclass(frozen=True)
class Asking:
    """Who asks: the name and scope of the token, and the projects that name is a member of."""

    name: str
    scope: Scope
    projects: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Whose:
    """To whom something belongs: the name of the token that it was stored with, and its project."""

    owner: str | None
    project: str | None


def may(asking: Asking, whose: Whose, action: str) -> bool:
    """Whether they may do this to it; `action` is a word such as cancel or delete."""
    if asking.scope is Scope.ADMIN:
        return True
    if not asking.scope.includes(Scope.USER):
        return False
    if whose.owner == asking.name or whose.project in asking.projects:
        return True
    return whose.owner is None and action != DELETE


def refusal(asking: Asking, whose: Whose, action: str, what: str) -> str | None:
    """Why they may not, to follow nothing; None where they may. `what` is named so: experiment e1."""
    if may(asking, whose, action):
        return None
    belongs = f"is {whose.owner}'s" if whose.owner is not None else "is nobody's"
    allowed = ["an administrator"]
    if whose.project is not None:
        belongs += f", in project {whose.project}"
        allowed.insert(0, f"a member of {whose.project}")
    if whose.owner is not None:
        allowed.insert(0, whose.owner)
    return f"{what} {belongs}; {action} is for {' or '.join(allowed)}, and this token is {asking.name}'s"
