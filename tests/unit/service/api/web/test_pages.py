"""Pages as a browser without scripts gets them: links, live parts, errors, how quickly."""

from __future__ import annotations

import json
import re
import time
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from service.api.app import create_app
from service.shared.settings import Settings
from service.shared.tokens import new_secret
from tests.data_factories import spec_document
from tests.fakes import FakeBackend
from tests.unit.service.api.test_prefix import PREFIX, ReverseProxy
from tests.unit.service.api.web.test_doors import SAME, proof
from tests.unit.service.conftest import Cluster, TestClient, failed_report, until
from tests.unit.service.sweep_job import sweep_document
from trainer.results.report import write_report

_LINK = re.compile(r'(?:href|src|action|hx-get|hx-post)="([^"]+)"')
_ELSEWHERE = ("/report", "/stream", "/ui/diff")  # a route of its own; what a form fills in


def _store(client: TestClient, **changes: object) -> str:
    return str(client.post("experiments", json=spec_document(**changes)).json()["id"])


@pytest.mark.slow
@pytest.mark.parametrize("strips", [True, False])
def test_every_link_leads_somewhere_below_a_proxys_path(migrated: Settings, strips: bool) -> None:
    """From the first page on, every address of a page, style and form is below the path, and answers."""
    settings = migrated.model_copy(update={"root_path": PREFIX})
    app = ReverseProxy(create_app(settings, FakeBackend()), strips=strips)
    with TestClient(app, base_url=f"http://127.0.0.1{PREFIX}/") as client:  # type: ignore[arg-type]
        _store(client)
        client.post("sweeps", json=sweep_document())
        left, seen = [f"{PREFIX}/"], set()
        while left:
            address = left.pop()
            seen.add(address)
            answer = client.get(f"http://127.0.0.1{address}")
            assert answer.status_code == 200, address
            if answer.headers["content-type"].startswith("text/html") and "/docs" not in address:
                found = {urljoin(address, unescape(each)) for each in _LINK.findall(answer.text)}
                assert all(urlsplit(each).path.startswith(f"{PREFIX}/") for each in found), found
                new = {each.partition("#")[0] for each in found if not each.endswith(_ELSEWHERE)} - seen
                left += [each for each in new if "/live" not in each and each not in left]
        assert len(seen) > 30


def test_a_form_leads_on_below_a_proxys_path(migrated: Settings) -> None:
    """Redirects, cookies and what htmx is told have the path as well."""
    settings = migrated.model_copy(update={"root_path": PREFIX})
    app = ReverseProxy(create_app(settings, FakeBackend()), strips=True)
    with TestClient(app, base_url=f"http://127.0.0.1{PREFIX}/", follow_redirects=False) as client:  # type: ignore[arg-type]
        identifier = _store(client)
        form = proof(client, "ui/submit")
        place = f"{PREFIX}/ui/experiments/{identifier}"
        for headers, name in ((SAME, "location"), ({**SAME, "HX-Request": "true"}, "hx-redirect")):
            answer = client.post(f"ui/experiments/{identifier}/cancel", data=form, headers=headers)
            assert answer.headers[name] == place
        assert {each.path for each in client.cookies.jar} == {PREFIX}


def test_what_has_not_changed_is_not_sent_again(client: TestClient, cluster: Cluster) -> None:
    """The part asks with what it has: 204 until something has changed; once it has ended it asks no more."""
    identifier = _store(client)
    # The application's own reconciler looks once, and says that its cluster is away.
    until(lambda: client.get(f"/experiments/{identifier}").json()["waiting"] is not None)
    page = client.get(f"/ui/experiments/{identifier}").text
    (ask,) = re.findall(r'hx-get="([^"]+)"', page)
    ask = unescape(ask)
    assert client.get(ask).status_code == 204
    cluster.step()
    cluster.backend.run(f"{identifier}-1")
    cluster.step()
    changed = client.get(ask)
    assert changed.status_code == 200
    assert "State: running" in changed.text
    assert 'hx-swap-oob="innerHTML"' in changed.text
    assert 'hx-trigger="every 2s,' in changed.text
    write_report(failed_report(identifier), cluster.settings.layout.attempt(identifier, 1).report)
    cluster.backend.finish(f"{identifier}-1")
    cluster.step()
    ended = client.get(ask).text
    assert "State: failed" in ended
    assert "hx-get" not in ended.partition('id="actions"')[0]


def test_a_form_that_is_sent_twice_stores_one_experiment(client: TestClient) -> None:
    """Pressed twice it is the same; gone back and changed, another."""
    page = client.get("/ui/submit").text
    (once,) = re.findall(r'name="once" value="([^"]+)"', page)
    form = {**proof(client), "once": once, "dataset": "digit_scenes", "model": "small", "method": "baseline"}
    sent = [client.post("/ui/submit", data=form, headers=SAME, follow_redirects=False) for _ in range(2)]
    other = client.post("/ui/submit", data={**form, "seed": "1"}, headers=SAME, follow_redirects=False)
    assert [each.status_code for each in (*sent, other)] == [303] * 3
    assert sent[0].headers["location"] == sent[1].headers["location"] != other.headers["location"]
    assert len(client.get("/experiments").json()["items"]) == 2


def test_a_spec_is_shown_as_it_was_sent_too(client: TestClient) -> None:
    """As text, whatever is in it; of an experiment and of a sweep."""
    for kind, document in (("experiments", spec_document()), ("sweeps", sweep_document())):
        sent = json.dumps({**document, "name": "<b>&"}, indent=5)
        made = client.post(kind, content=sent.encode(), headers={"Content-Type": "application/json"})
        page = client.get(f"/ui{made.headers['location']}/spec").text
        (shown,) = re.findall(r'was sent">(.*?)</pre>', page, re.DOTALL)
        assert "<b>" not in shown
        assert unescape(shown) == sent


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/ui/experiments/none", 404, "there is no experiment"),
        ("/ui/sweeps/none", 404, "there is no sweep"),
        ("/ui/followups/none/cancel", 404, "there is no follow-up"),
        ("/ui/nothing", 404, "there is nothing at"),
        ("/ui/static/none.css", 404, "there is no file"),
        ("/ui/experiments?state=none", 422, "allowed"),
        ("/ui/experiments?cursor=none", 400, "not from this list"),
        ("/ui/diff?a=none", 422, "is missing"),
        ("/ui/compare?id=none&id=none2", 404, "there is no experiment"),
    ],
)
def test_what_goes_wrong_is_a_page(client: TestClient, path: str, status: int, told: str) -> None:
    """With the API's own words and status."""
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert told in unescape(answer.text)


def test_the_api_answers_programs_as_ever(client: TestClient) -> None:
    """Its problems stay documents, also to a browser that would rather have a page."""
    answer = client.get("/experiments/none", headers={"Accept": "text/html"})
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("closed", [False, True])
def test_a_database_that_is_away_is_a_page(tmp_path: Path, backend: FakeBackend, closed: bool) -> None:
    """503, what is the matter, and no traceback; at the door too."""
    away = "postgresql://me@127.0.0.1:1/rebalance"
    settings = Settings(data_dir=tmp_path, poll_seconds=3600, database_url=away, require_token=closed)
    with TestClient(create_app(settings, backend), base_url="http://127.0.0.1") as client:
        if closed:
            client.cookies.set("rebalance_token", new_secret())
        for path in ("/", "/ui/experiments", "/ui/experiments/e/live"):
            answer = client.get(path)
            assert (answer.status_code, "Database unavailable" in answer.text) == (503, True)
            assert "Traceback" not in answer.text


def test_our_own_mistakes_are_a_page(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """500 without the details, which the log has."""
    client.app.dependency_overrides = {}  # type: ignore[attr-defined]
    monkeypatch.setattr(client.app.state, "tables", None)  # type: ignore[attr-defined]
    sweep = client.post("/sweeps", json=sweep_document()).json()["id"]
    answer = client.get(f"/ui/sweeps/{sweep}")
    assert (answer.status_code, "this is our mistake" in answer.text) == (500, True)
    assert "NoneType" not in answer.text


@pytest.mark.slow
def test_a_hundred_experiments_are_listed_at_once(client: TestClient) -> None:
    """In less than 100 ms, the best of five."""
    for seed in range(100):
        _store(client, seed=seed)

    def seconds() -> float:
        began = time.perf_counter()
        answer = client.get("/ui/experiments?limit=100")
        assert answer.text.count('<th scope="row">') == 100
        return time.perf_counter() - began

    assert min(seconds() for _ in range(5)) < 0.1
