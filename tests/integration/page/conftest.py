"""One open service and one that asks for tokens, for the browser's tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from service.shared.tokens import Scope
from service.store.experiments import Store
from tests.browser import browser  # noqa: F401 - a fixture
from tests.integration.page.lab import Lab, lab_of
from tests.unit.service.conftest import bearer, make_token
from tests.unit.service.served import serving

expect.set_options(timeout=20_000)  # milliseconds: a busy machine is no failure


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """An open service, as on one's own machine; Ray's page is said to be at port 1."""
    directory = tmp_path_factory.mktemp("open")
    with serving(directory, ray_address="http://127.0.0.1:1") as service, lab_of(service) as made:
        yield made


@dataclass(frozen=True)
class Closed:
    """A service that asks for tokens, with one of each scope."""

    lab: Lab
    tokens: dict[Scope, str]
    ids: dict[Scope, str]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    """The same where tokens are asked for."""
    with serving(tmp_path_factory.mktemp("closed"), require_token=True) as service:
        made = {scope: make_token(service.settings, scope.value) for scope in Scope}
        with lab_of(service, bearer(made[Scope.USER].token)) as lab:
            secrets = {scope: each.token for scope, each in made.items()}
            yield Closed(lab, secrets, {scope: each.id for scope, each in made.items()})


def revoke(closed: Closed, scope: Scope) -> None:
    """The token does not count any more."""
    from service.reconcile.reconciler import utc_now

    with closing(Store(closed.lab.service.settings.database)) as store:
        store.tokens.revoke(closed.ids[scope], now=utc_now())
