"""Below a path of a reverse proxy, whether it takes the path away or passes it on."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urljoin

import httpx
import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.client import RebalanceClient
from service.shared.settings import Settings, SettingsError, load_settings
from tests.data_factories import spec_document
from tests.fakes import FakeBackend
from tests.unit.service.conftest import bearer, make_token

PREFIX = "/rebalance"
BASE = f"http://127.0.0.1{PREFIX}/"
Served = Callable[..., TestClient]


class ReverseProxy:
    """An ASGI application before another: serves it below a path, and nothing else."""

    def __init__(self, app: object, *, strips: bool, header: str | None = None) -> None:
        self._app, self._strips, self._header = app, strips, header

    async def __call__(self, scope: dict, receive: object, send: object) -> None:  # type: ignore[type-arg]
        if scope["type"] == "http":
            path = scope["path"]
            assert path.startswith(f"{PREFIX}/"), f"{path} does not lead to the service"
            if self._strips:
                path = path.removeprefix(PREFIX)
                scope = {**scope, "path": path, "raw_path": path.encode()}
            if self._header is not None:
                given = (b"x-forwarded-prefix", self._header.encode())
                scope = {**scope, "headers": [*scope["headers"], given]}
        await self._app(scope, receive, send)  # type: ignore[operator]


def _client(settings: Settings, **proxy: object) -> TestClient:
    app = create_app(settings, FakeBackend())
    return TestClient(ReverseProxy(app, **proxy), base_url=BASE)  # type: ignore[arg-type]


@pytest.fixture(params=["setting, stripped", "setting, passed on", "header, stripped", "header, passed on"])
def client(request: pytest.FixtureRequest, migrated: Settings) -> TestClient:
    """The service behind a proxy of each kind."""
    how, _, style = request.param.partition(", ")
    by_setting = how == "setting"
    settings = migrated.model_copy(update={"root_path": PREFIX if by_setting else ""})
    return _client(settings, strips=style == "stripped", header=None if by_setting else f"{PREFIX}/")


@pytest.mark.slow
def test_docs_and_all_they_load(client: TestClient) -> None:
    """Each address in the page, as a browser resolves it, leads through the proxy to what is wanted."""
    with client:
        page = client.get("docs")
        links = re.findall(r"""(?:src|href)="([^"]+)"|url: '([^']+)'""", page.text)
        found = [urljoin(str(page.url), one or other) for one, other in links]
        assert len(found) == 4
        for url in found:
            assert client.get(url).status_code == 200, url
        assert client.get("openapi.json").json()["servers"][0] == {"url": PREFIX}


def test_location_redirects_and_cursors(client: TestClient) -> None:
    """What was made is found where the answer says; pages follow each other."""
    with client:
        made = [client.post("experiments", json=spec_document(seed=seed)) for seed in range(3)]
        for each in made:
            location = urljoin(str(each.url), each.headers["location"])
            assert location == f"{BASE}experiments/{each.json()['id']}"
            assert client.get(location).json()["id"] == each.json()["id"]
        redirected = client.get("experiments/", follow_redirects=False)
        assert redirected.headers["location"].startswith(f"{BASE}experiments")
        first = client.get("experiments", params={"limit": 2}).json()
        second = client.get("experiments", params={"cursor": first["next_cursor"]}).json()
        assert len(first["items"] + second["items"]) == 3


def test_the_typed_client(client: TestClient) -> None:
    """An address with a path, with or without a slash at its end."""

    def through(request: httpx.Request) -> httpx.Response:
        answer = client.request(
            request.method, str(request.url), content=request.content, headers=dict(request.headers)
        )
        return httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)

    with client:
        for base in (BASE, BASE.rstrip("/")):
            with RebalanceClient(base, transport=httpx.MockTransport(through)) as caller:
                stored = caller.submit(spec_document())
                assert caller.experiment(stored.id).id == stored.id
                assert caller.ready().checks["database"] == "ok"


@pytest.mark.parametrize(
    "header", ["//evil.example", "http://evil.example", "/a b", '/"><script>', "/../x", "x"]
)
def test_headers_that_are_no_path_are_left_alone(migrated: Settings, header: str) -> None:
    """None of it comes back in an answer."""
    with TestClient(create_app(migrated, FakeBackend()), base_url="http://127.0.0.1") as client:
        made = client.post("/experiments", json=spec_document(), headers={"X-Forwarded-Prefix": header})
        assert made.headers["location"] == f"/experiments/{made.json()['id']}"


def test_the_header_counts_only_from_this_machine(migrated: Settings) -> None:
    """On a network anybody could send it; there the setting says the path."""
    settings = migrated.model_copy(update={"host": "0.0.0.0", "allowed_hosts": ("host",)})
    headers = {"X-Forwarded-Prefix": PREFIX, **bearer(make_token(settings).token)}
    with TestClient(create_app(settings, FakeBackend()), base_url="http://host") as client:
        made = client.post("/experiments", json=spec_document(), headers=headers)
        assert made.headers["location"].startswith("/experiments/")


@pytest.mark.parametrize(("given", "path"), [("", ""), ("/", ""), ("/a", "/a"), ("/a/b-1/", "/a/b-1")])
def test_root_paths(given: str, path: str) -> None:
    """A slash at the end is none."""
    assert load_settings(root_path=given).root_path == path


@pytest.mark.parametrize("given", ["a", "//a", "/a//b", "/a b", "/..", "http://h/a", "/a?b"])
def test_what_is_no_root_path(given: str) -> None:
    """Refused with the variable's name."""
    with pytest.raises(SettingsError, match="REBALANCE_ROOT_PATH: allowed: a path such as /rebalance"):
        load_settings(root_path=given)
