"""For whom this code works: who has sent the request that is being answered."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from service.shared.log_lines import REQUEST_ID

# The name of the token that came with the request, None where none is asked for. Threads inherit it.
ACTOR: ContextVar[str | None] = ContextVar("actor", default=None)


@dataclass(frozen=True)
class Acting:
    """A request, and who has sent it."""

    actor: str | None
    request: str


def acting() -> Acting | None:
    """Who asks for what is being done; None where nobody does, as in the reconciler."""
    request = REQUEST_ID.get()
    return Acting(ACTOR.get(), request) if request else None
