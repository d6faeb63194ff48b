"""What is asked and answered about tokens: shared by the routes, the client and the command line."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field

from service.shared.schemas import Public
from service.shared.tokens import MOST_DAYS, NAME, Scope
from trainer.base.strict_model import StrictModel


class TokenCreate(StrictModel):
    """A token that is to be made."""

    name: str = Field(pattern=f"^{NAME.pattern}$", description="Whose, or what for; it stands in the log.")
    scope: Literal["viewer", "user", "admin"] = Field(default="user", description="What it may do.")
    expires_days: int | None = Field(default=None, ge=1, le=MOST_DAYS, description="Null: it never expires.")


class TokenPublic(Public):
    """A token as lists show it."""

    id: str
    name: str
    scope: Scope
    shown: str = Field(description="The first characters of the token.")
    state: Literal["valid", "expired", "revoked"]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    last_used_at: AwareDatetime | None = Field(default=None, description="To the minute.")


class TokenCreated(TokenPublic):
    """A token that was made just now."""

    token: str = Field(description="To be shown with requests. It is nowhere else: only its hash is kept.")
