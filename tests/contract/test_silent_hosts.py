"""Hosts that fall silent: what Postgres is told of how long it shall keep the sessions of such a one."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from service.store.engine import make_engine
from tests.postgres import Server

pytestmark = pytest.mark.integration


def test_the_server_is_told_when_a_silent_client_is_gone(postgres: Server) -> None:
    """A transaction that was open on a host that was switched off ends soon, not after Postgres' two hours.

    It may hold the row of the lease, by which another service would lead. A Unix socket has no such times,
    and the server shows 0 there, but also who has set them.
    """
    url = postgres.create("silent")
    engine = make_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with engine.connect() as connection:
            found = connection.execute(
                text("SELECT name, source FROM pg_settings WHERE name LIKE 'tcp_keepalives%'")
            )
            sources = {row.name: row.source for row in found}
        assert sources == {f"tcp_keepalives_{name}": "client" for name in ("idle", "interval", "count")}
    finally:
        engine.dispose()
        postgres.drop("silent")
