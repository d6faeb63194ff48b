"""Who may come in, at every route of the application, as one that others reach serves it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.routing import Route

from service.api.app import create_app
from service.reconcile.reconciler import utc_now
from service.shared.settings import Settings
from service.shared.token_schemas import TokenCreate
from service.shared.tokens import new_secret
from service.store.experiments import Store
from tests.data_factories import spec_document
from tests.fakes import FakeBackend
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.conftest import TestClient, bearer, make_token, statements

OPEN = {"/healthz", "/readyz"}
ADMINS = {
    ("POST", "/tokens"),
    ("GET", "/tokens"),
    ("DELETE", "/tokens/{token_id}"),
    ("GET", "/quotas"),
    ("GET", "/audit"),
    ("POST", "/admin/gc"),
}
READS = {"GET", "HEAD"}


def routes_of(router: Any) -> Iterator[tuple[str, str]]:
    """(method, path) of every route, those of included routers too; another way in would be a fault."""
    for each in router.routes:
        if isinstance(each, Route) and each.methods:
            yield from ((method, each.path_format) for method in each.methods)
        else:
            yield from routes_of(each.original_router)


ALL = sorted(set(routes_of(create_app(Settings(host="0.0.0.0"), FakeBackend()).router)))
# Pages answer people, with the form to log in: tests/unit/service/api/web/test_doors.py goes through them.
PAGES = [(method, path) for method, path in ALL if path == "/" or path.startswith("/ui")]
ROUTES = [each for each in ALL if each[1] not in OPEN and each not in PAGES]


@pytest.fixture
def closed(migrated: Settings) -> Settings:
    """As a service that listens on every interface."""
    return migrated.model_copy(update={"host": "0.0.0.0"})


@pytest.fixture
def app(closed: Settings, backend: FakeBackend) -> FastAPI:
    return create_app(closed, backend)


def _url(path: str) -> str:
    return path.replace("{", "").replace("}", "")


def test_the_walk_finds_every_route(app: FastAPI) -> None:
    """The tests below go through all that the OpenAPI document has, and what it leaves out."""
    documented = {(m.upper(), path) for path, found in app.openapi()["paths"].items() for m in found}
    assert documented - {("GET", path) for path in OPEN} <= set(ROUTES)
    assert {("GET", "/docs"), ("GET", "/docs/{name}"), ("GET", "/openapi.json")} | ADMINS <= set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_asks_for_a_token_that_counts(
    client: TestClient, closed: Settings, method: str, path: str
) -> None:
    """Without, with a wrong, a mistyped, an expired and a revoked token: 401, the challenge of RFC 6750, and
    no word of what was sent; with a viewer's, 403 for all that is more than reading.
    """
    expired, revoked, viewer = _expired(closed), _revoked(closed), make_token(closed, "viewer").token
    unknown = new_secret()
    mistyped = expired[:-1] + ("a" if expired[-1] != "a" else "b")
    for secret in (None, unknown, mistyped, expired, revoked):
        headers = bearer(secret) if secret else {}
        answer = client.request(method, _url(path), headers=headers)
        assert answer.status_code == 401
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="region-rebalance"')
        assert ('error="invalid_token"' in challenge) is (secret is not None)
        if method != "HEAD":
            check_problem(answer, 401)
        assert not secret or secret not in answer.text + str(answer.headers)
    answer = client.request(method, _url(path), headers=bearer(viewer))
    may = method in READS and (method, path) not in ADMINS
    assert (answer.status_code not in (401, 403)) is may, answer.text
    if not may:
        needed = "admin" if method in READS else "user"
        assert f"this needs scope {needed}" in check_problem(answer, 403)["detail"]
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_users_do_all_but_administration(
    client: TestClient, closed: Settings, method: str, path: str
) -> None:
    """A user's token is refused where an administrator's is needed, and nowhere else; that one, nowhere."""
    for scope in ("user", "admin"):
        answer = client.request(method, _url(path), headers=bearer(make_token(closed, scope).token))  # type: ignore[arg-type]
        refused = scope == "user" and (method, path) in ADMINS
        assert (answer.status_code == 403) is refused
        assert answer.status_code != 401


def test_paths_that_are_nothing_ask_for_a_token(client: TestClient) -> None:
    """Who may not come in learns of no path whether it is there, however it is written."""
    for path in (
        "/nothing",
        "/healthz/",
        "/healthz/x",
        "/readyz/",
        "/HEALTHZ",
        "/docs/../healthz/x",
    ):
        assert client.get(path).status_code == 401, path


def _expired(settings: Settings) -> str:
    with closing(Store(settings.database)) as store:
        asked = TokenCreate(name="late", scope="admin", expires_days=1)
        return store.tokens.create(asked, now=utc_now() - timedelta(days=1)).token


def _revoked(settings: Settings) -> str:
    made = make_token(settings)
    with closing(Store(settings.database)) as store:
        store.tokens.revoke(made.id, now=utc_now())
    return made.token


@pytest.mark.parametrize(
    "sent",
    [
        "{secret}",
        "Basic {secret}",
        "Bearer",
        "Bearer {secret} {secret}",
        "bearer:{secret}",
        "Bearer {secret}\u00e9",
    ],
)
def test_headers_that_are_no_bearer_token(client: TestClient, closed: Settings, sent: str) -> None:
    """A token in another form does not count, and is not repeated in the answer."""
    secret = make_token(closed).token
    header = sent.format(secret=secret).encode("latin-1")
    answer = client.get("/experiments", headers={"Authorization": header})  # type: ignore[dict-item]
    check_problem(answer, 401)
    assert secret not in answer.text


def test_two_headers_are_refused(client: TestClient, closed: Settings) -> None:
    """It is not for us to choose whose request it is."""
    own = bearer(make_token(closed).token)["Authorization"]
    answer = client.get("/experiments", headers=[("Authorization", own), ("Authorization", own)])  # type: ignore[arg-type]
    check_problem(answer, 401)


def test_a_mistyped_token_asks_no_database(client: TestClient, closed: Settings) -> None:
    """It is told by its checksum alone."""
    secret = make_token(closed).token
    with statements() as asked:
        told = check_problem(client.get("/experiments", headers=bearer(secret[:-1])), 401)["detail"]
    assert "checksum" in told
    assert not [each for each in asked if "tokens" in each]  # the reconciler asks for other things meanwhile


def test_a_database_that_is_away_lets_nobody_in(tmp_path: Path, backend: FakeBackend) -> None:
    """503 for who shows a token that may be right; who shows none is told so, and whether all is well."""
    away = "postgresql://me@127.0.0.1:1/rebalance"
    settings = Settings(data_dir=tmp_path, host="0.0.0.0", poll_seconds=3600, database_url=away)
    with TestClient(create_app(settings, backend), base_url="http://127.0.0.1") as client:
        check_problem(client.get("/experiments", headers=bearer(new_secret())), 503)
        check_problem(client.get("/experiments"), 401)
        assert check_problem(client.get("/readyz", headers=bearer(new_secret())), 503)["errors"] == []
        assert client.get("/healthz", headers=bearer(new_secret())).status_code == 200


def test_strangers_are_told_in_a_word_how_it_is(
    client: TestClient, closed: Settings, backend: FakeBackend
) -> None:
    """/healthz and /readyz answer everybody; parts, addresses and directories only who may read."""
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").json() == {"status": "degraded", "checks": {}}
    viewer = bearer(make_token(closed, "viewer").token)
    assert client.get("/readyz", headers=viewer).json()["checks"]["backend"] != "ok"
    check_problem(client.get("/readyz", headers=bearer(new_secret())), 401)
    backend.down = False
    closed.layout.root.rename(closed.layout.root.with_name("away"))
    answer = client.get("/readyz")
    assert check_problem(answer, 503)["errors"] == []
    assert str(closed.data_dir) not in answer.text
    assert check_problem(client.get("/readyz", headers=viewer), 503)["errors"] != []


def test_the_probe_of_the_process_itself_reads(closed: Settings, backend: FakeBackend) -> None:
    """The secret that the process made for itself sees /readyz in full, and may change nothing."""
    probe = new_secret()
    with TestClient(create_app(closed, backend, probe=probe), base_url="http://127.0.0.1") as client:
        assert client.get("/readyz", headers=bearer(probe)).json()["checks"]
        check_problem(client.post("/experiments", json=spec_document(), headers=bearer(probe)), 403)


def test_what_is_asked_for_is_logged_with_who_did(
    client: TestClient, closed: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """One line for each change, with the token's id and name and what was made; never with the token."""
    made = make_token(closed, "user")
    with caplog.at_level(logging.INFO):
        answer = client.post("/experiments", json=spec_document(), headers=bearer(made.token))
        client.get("/experiments", headers=bearer(made.token))
    (line,) = [each for each in caplog.records if each.message == "change asked"]
    told = {name: getattr(line, name) for name in ("actor", "method", "path", "status", "location")}
    assert told == {
        "actor": f"{made.id} {made.name}",
        "method": "POST",
        "path": "/experiments",
        "status": 201,
        "location": f"/experiments/{answer.json()['id']}",
    }
    assert made.token not in "".join(str(vars(each)) for each in caplog.records)


def test_administrators_make_list_and_revoke_tokens(client: TestClient, closed: Settings) -> None:
    """What was made lets in at once and is shown once; lists have no secret; revoked, it counts no more."""
    admin = bearer(make_token(closed).token)
    document = {"name": "kim", "scope": "viewer", "expires_days": 2}
    answer = client.post("/tokens", json=document, headers=admin)
    assert answer.status_code == 201
    made = answer.json()
    assert client.get("/experiments", headers=bearer(made["token"])).status_code == 200
    listed = client.get("/tokens", headers=admin)
    assert made["token"] not in listed.text
    (found,) = [each for each in listed.json()["items"] if each["id"] == made["id"]]
    assert (found["state"], found["shown"]) == ("valid", made["token"][:8])
    assert found["last_used_at"] is not None
    for _ in range(2):
        revoked = client.delete(f"/tokens/{made['id']}", headers=admin)
        assert (revoked.status_code, revoked.json()["state"]) == (200, "revoked")
    check_problem(client.get("/experiments", headers=bearer(made["token"])), 401)
    check_problem(client.delete("/tokens/tok-none", headers=admin), 404)


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({}, "/name"),
        ({"name": "a b"}, "/name"),
        ({"name": "a\n"}, "/name"),
        ({"name": "a", "scope": "root"}, "/scope"),
        ({"name": "a", "expires_days": 0}, "/expires_days"),
        ({"name": "a", "expires": 1}, "/expires"),
    ],
)
def test_what_is_no_token_to_make(
    client: TestClient, closed: Settings, document: dict[str, Any], pointer: str
) -> None:
    """Refused by name of the field, with what is allowed."""
    answer = client.post("/tokens", json=document, headers=bearer(make_token(closed).token))
    assert [each["pointer"] for each in check_problem(answer, 422)["errors"]] == [pointer]


def test_an_open_service_asks_nobody_and_has_no_tokens(migrated: Settings, backend: FakeBackend) -> None:
    """On loopback all is as before: a token that somebody shows is not looked at, and none is made there."""
    with TestClient(create_app(migrated, backend), base_url="http://127.0.0.1") as client:
        assert client.get("/experiments").status_code == 200
        assert client.get("/experiments", headers=bearer("mistyped")).status_code == 200
        assert client.get("/readyz").json()["checks"] != {}
        assert client.post("/tokens", json={"name": "a", "scope": "admin"}).status_code == 404


@pytest.mark.parametrize(
    ("changed", "is_closed"),
    [
        ({}, False),
        ({"host": "localhost"}, False),
        ({"host": "127.0.0.2"}, False),
        ({"host": "::1"}, False),
        ({"require_token": True}, True),
        ({"host": "0.0.0.0"}, True),
        ({"host": "::"}, True),
        ({"host": "192.0.2.1"}, True),
        ({"host": "localhost.example"}, True),
    ],
)
def test_where_tokens_are_asked_for(changed: dict[str, Any], is_closed: bool) -> None:
    """Wherever others than this machine could ask, and where somebody wants it so."""
    assert Settings(**changed).closed is is_closed


def test_the_door_holds_below_a_path_of_a_proxy(migrated: Settings, backend: FakeBackend) -> None:
    """With X-Forwarded-Prefix or without: what is open is open there, and nothing else is."""
    settings = migrated.model_copy(update={"require_token": True})
    with TestClient(create_app(settings, backend), base_url="http://127.0.0.1") as client:
        for prefix in ("", "/lab", "/experiments"):
            headers = {"X-Forwarded-Prefix": prefix}
            assert client.get("/healthz", headers=headers).status_code == 200, prefix
            for path in ("/experiments/e", "/healthz/experiments", "/docs"):
                assert client.get(path, headers=headers).status_code == 401, (prefix, path)
