"""Tokens: every query about them. Of a token itself only its hash is kept."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Select, insert, or_, select, update

from service.shared.token_schemas import TokenCreate, TokenCreated, TokenPublic
from service.shared.tokens import SHOWN, Scope, digest, new_secret
from service.store.database import Database
from service.store.tables import tokens
from service.store.trail.deeds import note_deed
from trainer.base.errors import RegionRebalanceError

_USE_NOTED = timedelta(minutes=1)  # a request that only reads must not write each time


class UnknownToken(RegionRebalanceError):
    """No token has this id."""


@dataclass(frozen=True, kw_only=True)
class Token:
    """One row. Times are aware UTC."""

    id: str
    name: str
    scope: Scope
    shown: str
    digest: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def state(self, now: datetime) -> Literal["valid", "expired", "revoked"]:
        """Whether it counts."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"

    def public(self, now: datetime) -> TokenPublic:
        """As lists show it: without the hash."""
        return TokenPublic(**{**asdict(self), "state": self.state(now)})


class TokenStore:
    """All reads and writes of tokens. Any thread may call it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, asked: TokenCreate, *, now: datetime) -> TokenCreated:
        """A new token, stored; the answer is the only place where its text is."""
        secret = new_secret()
        new = Token(
            id=f"tok-{secrets.token_hex(5)}",
            name=asked.name,
            scope=Scope(asked.scope),
            shown=secret[:SHOWN],
            digest=digest(secret),
            created_at=now,
            expires_at=None if asked.expires_days is None else now + timedelta(days=asked.expires_days),
        )
        with self._database.writing() as connection:
            connection.execute(insert(tokens).values(asdict(new)))
            note_deed(connection, "create", "token", new.id, at=now, detail=f"{new.name}, {new.scope}")
        return TokenCreated(**new.public(now).model_dump(), token=secret)

    def find(self, secret: str) -> Token | None:
        """The token whose text this is, whether or not it still counts; looked for by its hash."""
        found = self._select(select(tokens).where(tokens.c.digest == digest(secret)))
        return found[0] if found else None

    def all(self) -> list[Token]:
        """Every token that was ever made, newest first."""
        return self._select(select(tokens).order_by(tokens.c.created_at.desc(), tokens.c.id.desc()))

    def revoke(self, identifier: str, *, now: datetime) -> Token:
        """From now on it does not count; asked twice, the first time stays.

        Raises:
            UnknownToken: there is none of this id.
        """
        if "\0" in identifier:
            raise UnknownToken(identifier)  # Postgres would refuse the question
        mine = tokens.c.id == identifier
        with self._database.writing() as connection:
            counts = update(tokens).where(mine, tokens.c.revoked_at.is_(None))
            if connection.execute(counts.values(revoked_at=now)).rowcount:
                note_deed(connection, "revoke", "token", identifier, at=now)
        found = self._select(select(tokens).where(mine))
        if not found:
            raise UnknownToken(identifier)
        return found[0]

    def used(self, token: Token, *, now: datetime) -> None:
        """Notes that it was shown, at most once a minute; not while the database takes no changes.

        Who only reads is not to wait each time as long as a locked database is waited for.
        """
        if token.last_used_at is not None and now - token.last_used_at < _USE_NOTED:
            return
        if self._database.refusal is not None:
            return
        with self._database.writing() as connection:
            connection.execute(update(tokens).where(tokens.c.id == token.id).values(last_used_at=now))

    def somebody(self, now: datetime) -> bool:
        """Whether somebody may change something: a user's or admin's token counts."""
        lives = or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now)
        able = [scope for scope in Scope if scope.includes(Scope.USER)]
        conditions = (tokens.c.revoked_at.is_(None), lives, tokens.c.scope.in_(able))
        return bool(self._select(select(tokens).where(*conditions).limit(1)))

    def _select(self, query: Select[tuple[object, ...]]) -> list[Token]:
        with self._database.reading() as connection:
            rows = [row._asdict() for row in connection.execute(query)]
        return [Token(**{**row, "scope": Scope(row["scope"])}) for row in rows]
