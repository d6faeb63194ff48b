"""The client's part about tokens, for administrators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from service.client.http import ApiCaller, document_body, segment
from service.shared.schemas import Page

if TYPE_CHECKING:
    from service.shared.token_schemas import TokenCreated, TokenPublic


class TokenCalls(ApiCaller):
    """What can be asked about tokens; 403 for who is no administrator, 404 where no tokens are asked for."""

    def create_token(
        self, name: str, scope: Literal["viewer", "user", "admin"] = "user", expires_days: int | None = None
    ) -> TokenCreated:
        """A new token; its text, `token`, cannot be asked for again."""
        from service.shared.token_schemas import TokenCreate, TokenCreated

        asked = TokenCreate(name=name, scope=scope, expires_days=expires_days)
        headers = {"Content-Type": "application/json"}
        return self.ask(TokenCreated, "POST", "/tokens", content=document_body(asked), headers=headers)

    def tokens(self) -> Iterator[TokenPublic]:
        """All tokens that were ever made, newest first."""
        from service.shared.token_schemas import TokenPublic

        return self.pages(Page[TokenPublic], "/tokens", {})

    def revoke_token(self, token_id: str) -> TokenPublic:
        """The token, which does not count from now on."""
        from service.shared.token_schemas import TokenPublic

        return self.ask(TokenPublic, "DELETE", f"/tokens/{segment(token_id)}")
