"""What the environment asks of the tests on hosts, and where their counts are kept.

HOSTS=all tries every fault, HOSTS=NAME,NAME those; HOSTS_SEED draws the steps at which, and HOSTS_WRITE=FILE
keeps what was counted.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.deploy.hosts.lab import Counts
from tests.deploy.hosts.namespaces import NoNamespaces, require_namespaces
from tests.kept import keep_in
from tests.postgres import NoPostgres, Programs, find_programs

ASKED = frozenset(filter(None, os.environ.get("HOSTS", "").split(",")))
ALL = "all" in ASKED
SEED = int(os.environ.get("HOSTS_SEED", "0"))
ITERATIONS = 120 if ASKED else 60


def require_hosts() -> None:
    """Skips where hosts cannot be made, and says why."""
    try:
        require_namespaces()
    except NoNamespaces as missing:
        pytest.skip(str(missing))


def programs_or_skip(config: pytest.Config) -> Programs:
    """Postgres' programs, where hosts can be made and it can run on one; else skips, and says why."""
    require_hosts()
    try:
        return find_programs(config.getoption("postgres"))
    except NoPostgres as missing:
        pytest.skip(str(missing))


def keep(name: str, counts: Counts) -> None:
    """Prints what was counted, and keeps it where a campaign asks for it."""
    print(json.dumps({name: counts}))

    def change(kept: dict[str, Any]) -> None:
        kept.setdefault("hosts", {}).update({"seed": SEED, "iterations": ITERATIONS, name: counts})

    keep_in("HOSTS_WRITE", change)
