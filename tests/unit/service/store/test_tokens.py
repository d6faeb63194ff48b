"""Tokens in the database, on both."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from service.shared.token_schemas import TokenCreate
from service.shared.tokens import Scope, digest, new_secret
from service.store.tables import tokens
from service.store.tokens import UnknownToken
from tests.unit.service.conftest import START, World, statements

DAY = timedelta(days=1)


def _asked(**changes: Any) -> TokenCreate:
    return TokenCreate(**{"name": "kim", **changes})


def test_only_the_hash_is_kept(world: World) -> None:
    """Nothing that is stored lets anybody in: of the text there are the first eight characters."""
    made = world.store.tokens.create(_asked(), now=START)
    with world.store._database.reading() as connection:
        row = connection.execute(select(tokens)).one()._asdict()
    assert row["digest"] == digest(made.token)
    assert made.token not in str(row)
    assert row["shown"] == made.token[:8]


def test_a_token_is_found_by_its_text(world: World) -> None:
    """As it was made; a text that nobody made finds nothing."""
    made = world.store.tokens.create(_asked(scope="viewer", expires_days=2), now=START)
    found = world.store.tokens.find(made.token)
    assert found is not None
    assert (found.id, found.scope, found.expires_at) == (made.id, Scope.VIEWER, START + 2 * DAY)
    assert [found.state(START + 2 * DAY - timedelta.resolution), found.state(START + 2 * DAY)] == [
        "valid",
        "expired",
    ]
    assert world.store.tokens.find(new_secret()) is None


def test_its_use_is_noted_once_a_minute(world: World) -> None:
    """Requests that read write once a minute, not each time."""
    made = world.store.tokens.create(_asked(), now=START)
    noted = []
    for seconds in (0, 1, 59, 60, 61):
        now = START + timedelta(seconds=seconds)
        found = world.store.tokens.find(made.token)
        assert found is not None
        with statements() as asked:
            world.store.tokens.used(found, now=now)
        if any(each.startswith("UPDATE") for each in asked):
            noted.append(seconds)
    assert noted == [0, 60]


def test_revoking(world: World) -> None:
    """The first time stays; a name may be given again, and that one counts; an unknown id is told."""
    old, new = (world.store.tokens.create(_asked(), now=START) for _ in range(2))
    for hours in (1, 2):
        row = world.store.tokens.revoke(old.id, now=START + timedelta(hours=hours))
        assert (row.state(START), row.revoked_at) == ("revoked", START + timedelta(hours=1))
    assert {each.id: each.state(START) for each in world.store.tokens.all()} == {
        old.id: "revoked",
        new.id: "valid",
    }
    for unknown in ("tok-none", "a\0b"):
        with pytest.raises(UnknownToken):
            world.store.tokens.revoke(unknown, now=START)


def test_whether_somebody_may_come_in(world: World) -> None:
    """A user's or admin's token that counts; a viewer's, an expired or a revoked one is not enough."""
    assert not world.store.tokens.somebody(START)
    world.store.tokens.create(_asked(scope="viewer"), now=START)
    assert not world.store.tokens.somebody(START)
    for scope in ("user", "admin"):
        made = world.store.tokens.create(_asked(scope=scope, expires_days=1), now=START)
        assert world.store.tokens.somebody(START)
        assert not world.store.tokens.somebody(START + DAY)
        world.store.tokens.revoke(made.id, now=START)
        assert not world.store.tokens.somebody(START)
