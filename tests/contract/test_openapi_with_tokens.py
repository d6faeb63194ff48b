"""The OpenAPI document of a service that asks for tokens, with an administrator's and with none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection

from service.api.app import create_app
from service.shared.settings import Settings
from tests.contract.openapi_served import URL, Served, described, filled
from tests.fakes import FakeBackend
from tests.unit.service.conftest import bearer, make_token

OPEN = {"/healthz", "/readyz"}
GENERATED = settings(
    max_examples=6, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
# Boundary values as well; those of all other routes are sent in test_openapi.py, where no token is asked for.
ALL = settings(GENERATED, phases=[Phase.explicit, Phase.generate])
SERVED = Served()
SCHEMA = described(create_app(Settings(require_token=True), FakeBackend()).openapi(), SERVED)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
    """See `filled`; and an administrator's token, another's id to be revoked."""
    told = Settings(data_dir=tmp_path_factory.mktemp("data"), require_token=True, poll_seconds=3600)
    with filled(told, SERVED) as found:
        yield {**found, "token_id": [make_token(told).id], "admin": [make_token(told).token]}


def ask(case: schemathesis.Case, known: dict[str, list[str]]) -> None:
    """Holds the answers to the document; what has an id is asked about one that exists as well."""
    headers = bearer(known["admin"][0])
    answer = case.call(base_url=URL, headers=headers)
    assert answer.status_code not in (401, 403), answer.text
    case.validate_response(answer, headers=headers)
    for name in case.path_parameters.keys() & known.keys():
        case.path_parameters[name] = known[name][0]
        answer = case.call(base_url=URL, headers=headers)
        case.validate_response(answer, headers=headers, excluded_checks=[negative_data_rejection])


@SCHEMA.exclude(path_regex="/stream$").parametrize()
@GENERATED
def test_every_answer_is_documented(case: schemathesis.Case, known: dict[str, list[str]]) -> None:
    """To an administrator, as to everybody where no token is asked for; and each route that says it needs a
    token is tried again without and with a wrong one.
    """
    ask(case, known)


# `include` would narrow nothing: the schema's own configuration names an operation already.
@SCHEMA.exclude(path_regex=r"^/(?!tokens|quotas|audit|admin/)").parametrize()
@ALL
def test_what_only_administrators_ask(case: schemathesis.Case, known: dict[str, list[str]]) -> None:
    """Routes that an open service has not got, with boundary values, too."""
    ask(case, known)


@SCHEMA.parametrize()
@GENERATED
def test_without_a_token(case: schemathesis.Case, known: dict[str, list[str]]) -> None:
    """Whatever is sent, and to what there is as to what there is not: 401 as documented, but for the two
    that probes ask.
    """
    for name in case.path_parameters.keys() & known.keys():
        case.path_parameters[name] = known[name][0]
    answer = case.call(base_url=URL)
    case.validate_response(answer, excluded_checks=[negative_data_rejection])
    if case.operation.path in OPEN:
        assert answer.status_code != 401
    else:
        assert answer.status_code == 401
        assert answer.json()["title"] == "A token is needed"
