"""Whose things a request may change: looked at before its route, by the path, so that no route forgets it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from service.api.entry.guard import READS, Caller
from service.api.requests import BadParameter, NotYours
from service.scheduling.policy import PolicyFile
from service.shared.access.rules import DELETE, Asking, Whose, may, refusal
from service.store.experiments import Store
from service.store.jobs import Ledger
from service.store.queue.lines import Kind
from trainer.base.errors import Problem

_PLACES: dict[str, tuple[Kind, str]] = {
    "experiments": ("experiment", "experiment"),
    "sweeps": ("sweep", "sweep"),
    "followups": ("followup", "follow-up"),
}
# What only reads the experiment, and stores something that is the caller's own.
_READ_IT = frozenset(("experiments", each) for each in ("evaluations", "predictions", "exports", "extend"))
_PAGES = "ui"


async def owners(request: Request) -> None:
    """A dependency of every route: refuses to change what is others'.

    Raises:
        NotYours: saying whose it is, and who may.
        UnknownExperiment, UnknownSweep, UnknownFollowup: there is none of this id.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None or request.method in READS:
        return
    found = _asked(request)
    if found is not None:
        await run_in_threadpool(_check, request, caller, *found)


ME = "@me"  # no token's name begins so


def owners_named(wanted: Sequence[str], me: str | None) -> list[str]:
    """Names of tokens; `ME` is the caller's own.

    Raises:
        BadParameter: nobody is asked for a token here.
    """
    if me is None and ME in wanted:
        told = Problem(
            f"/query/owner/{wanted.index(ME)}", f"{ME!r} is nobody: no token is asked for", "a name"
        )
        raise BadParameter((told,))
    return [me if each == ME and me is not None else each for each in wanted]


def asking(request: Request, caller: Caller) -> Asking:
    """Who asks, as the rules know them."""
    policy: PolicyFile = request.app.state.policy
    members = policy.current().members
    return Asking(caller.name, caller.scope, frozenset(p for p, who in members.items() if caller.name in who))


def may_change_this(request: Request, shown: Any, action: str) -> bool:
    """Whether who asks for a page may do this to what it shows, which says in `queue` whose it is."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        return not request.app.state.settings.closed
    return may(asking(request, caller), Whose(shown.queue.owner, shown.queue.project), action)


def _asked(request: Request) -> tuple[str, str, str] | None:
    """Place, id and action, where the path is of one experiment, sweep or follow-up that is to change."""
    words = [word for word in request.scope["route"].path.split("/") if word not in ("", _PAGES)]
    if len(words) < 2 or words[0] not in _PLACES or not words[1].startswith("{"):
        return None
    action = DELETE if request.method == "DELETE" else words[-1]
    return (
        None
        if (words[0], action) in _READ_IT
        else (words[0], request.path_params[words[1].strip("{}")], action)
    )


def _check(request: Request, caller: Caller, place: str, identifier: str, action: str) -> None:
    store: Store = request.app.state.store
    kind, word = _PLACES[place]
    ledger: Ledger[Any] = store.ledgers[kind]
    row = ledger.get(identifier)
    why = refusal(
        asking(request, caller), Whose(row.owner, row.project), action, f"{word} {identifier[:100]}"
    )
    if why is not None:
        raise NotYours(why)
