"""Who gets to see a page, and whose forms are taken: at every page of the application."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from fastapi import FastAPI

from service.api.app import create_app
from service.api.web.limits import MOST_WRONG
from service.api.web.render import HEADERS
from service.shared.settings import Settings
from service.shared.tokens import new_secret
from tests.data_factories import spec_document
from tests.fakes import FakeBackend
from tests.unit.service.api.entry.test_guard import PAGES
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.conftest import TestClient, bearer, make_token

_DOORS = {("GET", "/"), ("GET", "/ui/login"), ("POST", "/ui/login"), ("POST", "/ui/logout")}
_ADMINS = {"/ui/audit"}
_STATIC = ("GET", "/ui/static/{name}")
READS = [path for method, path in PAGES if method == "GET" and (method, path) not in {*_DOORS, _STATIC}]
CHANGES = [path for method, path in PAGES if method == "POST"]
SAME = {"Sec-Fetch-Site": "same-origin"}
_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')


def _url(path: str) -> str:
    return path.replace("{", "").replace("}", "")


def proof(client: TestClient, path: str = "/ui/submit") -> dict[str, str]:
    """The field that a form of this visitor brings back."""
    found = _TOKEN.search(client.get(path).text)
    assert found is not None
    return {"form_token": found[1]}


@pytest.fixture
def closed(migrated: Settings) -> Settings:
    return migrated.model_copy(update={"host": "0.0.0.0"})


@pytest.fixture
def door(closed: Settings, backend: FakeBackend) -> Any:
    """A browser before a service that asks for tokens."""
    with TestClient(create_app(closed, backend), base_url="http://127.0.0.1", follow_redirects=False) as made:
        yield made


def log_in(client: TestClient, secret: str, **fields: str) -> Any:
    form = {**proof(client, "/"), "token": secret, **fields}
    return client.post("/ui/login", data=form, headers=SAME)


def test_the_walk_finds_every_page(app: FastAPI) -> None:
    """The tests below go through forms and pages that there are; an open service has no log-in."""
    assert {"/ui/submit", "/ui/experiments/{identifier}/cancel", "/ui/logout"} <= set(CHANGES)
    assert {"/ui/experiments/{experiment_id}", "/ui/compare", "/ui/sweeps/{sweep_id}/live"} <= set(READS)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/ui/login").status_code == 404


@pytest.mark.parametrize("path", READS)
def test_every_page_asks_for_a_token(door: TestClient, path: str) -> None:
    """Without, and with one that does not count: the form to log in, with 401; a viewer's shows the page."""
    for cookie in (None, new_secret(), "rrb_x"):
        door.cookies.clear()
        if cookie:
            door.cookies.set("rebalance_token", cookie)
        answer = door.get(_url(path))
        assert answer.status_code == 401
        assert 'name="token"' in answer.text
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert not cookie or cookie not in answer.text


@pytest.mark.parametrize("path", READS)
def test_a_log_in_shows_every_page(door: TestClient, closed: Settings, path: str) -> None:
    """A viewer's token, as a cookie, opens all that is read, but for what is administrators'."""
    assert log_in(door, make_token(closed, "viewer").token).status_code == 303
    assert (door.get(_url(path)).status_code in (401, 403)) is (path in _ADMINS)
    if path in _ADMINS:
        log_in(door, make_token(closed, "admin").token)
        assert door.get(_url(path)).status_code == 200


def test_the_first_page_answers_everybody(door: TestClient, closed: Settings) -> None:
    """200 with the form, to who shows nothing and to whose token has ended; style and scripts need none."""
    for cookie in (None, new_secret()):
        if cookie:
            door.cookies.set("rebalance_token", cookie)
        answer = door.get("/")
        assert (answer.status_code, 'name="token"' in answer.text) == (200, True)
    assert door.get("/ui/static/page.css").status_code == 200


def test_a_cookie_counts_for_reading_and_for_forms_only(door: TestClient, closed: Settings) -> None:
    """The API's own routes take it where they are read (pictures, documents), and for no change."""
    log_in(door, make_token(closed).token)
    assert door.get("/experiments").status_code == 200
    for headers in ({}, SAME):
        check_problem(door.post("/experiments", json=spec_document(), headers=headers), 401)
    check_problem(door.post("/tokens", json={"name": "mine"}, headers=SAME), 401)


@pytest.mark.parametrize(
    ("path", "is_closed"),
    [(path, True) for path in CHANGES] + [(path, False) for path in CHANGES if ("POST", path) not in _DOORS],
)
def test_no_form_is_taken_from_elsewhere(
    migrated: Settings, backend: FakeBackend, path: str, is_closed: bool
) -> None:
    """Without the proof, with a wrong one, from another origin or from none: 403, and nothing is done."""
    settings = migrated.model_copy(update={"require_token": is_closed})
    with TestClient(create_app(settings, backend), base_url="http://127.0.0.1") as client:
        if is_closed:
            log_in(client, make_token(settings).token)
        right = proof(client)
        for form, headers in (
            ({}, SAME),
            ({"form_token": "0" * 64}, SAME),
            ({"form_token": "é"}, SAME),
            (right, {}),
            (right, {"Sec-Fetch-Site": "same-site"}),
            (right, {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"}),
            (right, {"Origin": "http://127.0.0.1:8001"}),
            (right, {"Origin": "null"}),
        ):
            answer = client.post(_url(path), data=form, headers=headers)
            assert (answer.status_code, "Not a form of this page" in answer.text) == (403, True), headers
        taken = client.post(_url(path), data=right, headers={"Origin": "http://127.0.0.1"})
        assert taken.status_code != 403


def test_a_proof_is_of_one_session(door: TestClient, closed: Settings) -> None:
    """What was shown before the log-in, or to another visitor, does not count after it."""
    secret = make_token(closed).token
    before = proof(door, "/")
    log_in(door, secret)
    first = proof(door)
    assert first != before
    assert door.post("/ui/submit", data=before, headers=SAME).status_code == 403
    door.cookies.clear()
    log_in(door, secret)
    assert door.post("/ui/submit", data=first, headers=SAME).status_code == 403


def test_a_viewers_form_is_refused(door: TestClient, closed: Settings) -> None:
    """It has no buttons; sent all the same, 403 with the scope that is needed."""
    log_in(door, make_token(closed, "viewer").token)
    for path in CHANGES:
        if path not in ("/ui/login", "/ui/logout"):
            answer = door.post(_url(path), data=proof(door, "/"), headers=SAME)
            assert (answer.status_code, "needs scope user" in answer.text) == (403, True), path
    assert "Submit" not in door.get("/").text


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("/ui/sweeps?state=running", "/ui/sweeps?state=running"),
        ("/", "/"),
        ("//evil.example", "/"),
        ("https://evil.example/ui", "/"),
        ("/\\evil.example", "/"),
        ("/ui/../experiments", "/"),
        ("/experiments", "/"),
        ("/ui/x\r\nSet-Cookie: a=b", "/"),
        ("/ui?a=\\", "/"),
    ],
)
def test_a_log_in_leads_to_our_own_pages(door: TestClient, closed: Settings, asked: str, led: str) -> None:
    """Back to where the browser wanted to; nowhere else, whatever the form says."""
    answer = log_in(door, make_token(closed, "viewer").token, way_back=asked)
    assert (answer.status_code, answer.headers["location"]) == (303, led)


def test_cookies_are_out_of_reach(door: TestClient, closed: Settings) -> None:
    """HttpOnly and SameSite=Strict; Secure where the browser speaks https; gone after the log-out."""
    for headers, secure in ((SAME, False), ({**SAME, "X-Forwarded-Proto": "https"}, True)):
        form = {**proof(door, "/"), "token": make_token(closed, "viewer").token}
        told = door.post("/ui/login", data=form, headers=headers).headers["set-cookie"]
        assert "HttpOnly" in told
        assert "SameSite=strict" in told
        assert ("Secure" in told) is secure
    answer = door.post("/ui/logout", data=proof(door, "/"), headers=SAME)
    assert 'rebalance_token=""' in answer.headers["set-cookie"]
    assert "Max-Age=0" in answer.headers["set-cookie"]


def test_wrong_tokens_are_slowed(
    door: TestClient, closed: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """After some, 429 says when to try again, also for the right one; logs have no word of what was sent."""
    right, wrong = make_token(closed, "viewer").token, new_secret()
    with caplog.at_level(logging.INFO):
        assert [log_in(door, wrong).status_code for _ in range(MOST_WRONG)] == [401] * MOST_WRONG
        answer = log_in(door, right)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert not [each for each in caplog.records if wrong in str(vars(each)) or right in str(vars(each))]


@pytest.mark.parametrize("path", ["/", "/ui/submit", "/ui/experiments/none", "/ui/nothing"])
def test_every_page_keeps_to_itself(client: TestClient, path: str) -> None:
    """Nothing but our own files runs or is loaded, nobody frames it, no cache keeps it."""
    answer = client.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=", answer.text)
    assert '"allowEval": false' in answer.text


def test_what_is_no_form_is_refused(client: TestClient) -> None:
    """Another type, too large, not UTF-8 or too many fields: told, as a page."""
    right = proof(client)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for sent, status in (
        ({"json": right}, 415),
        ({"content": b"a=%ff", "headers": kind}, 400),
        ({"content": b"a=\xff", "headers": kind}, 400),
        ({"content": b"a&" * 200, "headers": kind}, 400),
        ({"content": b"a=" + b"b" * 1_000_000, "headers": kind}, 413),
    ):
        headers = {**SAME, **sent.pop("headers", {})}  # type: ignore[attr-defined]
        answer = client.post("/ui/submit", headers=headers, **sent)  # type: ignore[arg-type]
        assert answer.status_code == status, sent
        assert answer.headers["content-type"].startswith("text/html")


def test_the_header_of_a_program_opens_pages_too(door: TestClient, closed: Settings) -> None:
    """A viewer's header shows them; a wrong one is answered as a page, with 401."""
    assert door.get("/ui/experiments", headers=bearer(make_token(closed, "viewer").token)).status_code == 200
    answer = door.get("/ui/experiments", headers=bearer(new_secret()))
    assert (answer.status_code, "nobody has made this token" in answer.text) == (401, True)
