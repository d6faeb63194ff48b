"""Which names a service answers to, and which web pages may ask it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from service.api.app import create_app
from service.shared.settings import Settings, SettingsError, load_settings
from tests.fakes import FakeBackend
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.conftest import TestClient, bearer, make_token

PAGE = "https://lab.example:8443"


@contextmanager
def serving(settings: Settings, **changed: Any) -> Iterator[TestClient]:
    app = create_app(settings.model_copy(update=changed), FakeBackend())
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


@pytest.mark.parametrize(
    "host", ["lab.example", "LAB.example:8000", "a.b.sub.example", "localhost", "127.0.0.1"]
)
def test_allowed_hosts(migrated: Settings, host: str) -> None:
    """Names that a setting allows, with any port and in any case, beside this machine's own."""
    with serving(migrated, allowed_hosts=("lab.example", "*.sub.example")) as client:
        assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "lab.example.evil.example", "sub.example", "xsub.example", "192.0.2.1", "0.0.0.0"],
)
def test_all_other_hosts_are_refused(migrated: Settings, host: str) -> None:
    """A page whose name leads here (DNS rebinding) reads nothing; the answer says what is allowed."""
    with serving(migrated, allowed_hosts=("lab.example", "*.sub.example")) as client:
        wrong = check_problem(client.get("/healthz", headers={"Host": host}), 421)
        assert "lab.example" in wrong["errors"][0]["allowed"]


def test_a_service_for_others_answers_to_every_address(migrated: Settings) -> None:
    """Probes ask by address, which nobody can lead elsewhere; names are refused until they are allowed."""
    with serving(migrated, host="0.0.0.0") as client:
        for host in ("10.1.2.3:8000", "[2001:db8::1]", "127.0.0.1"):
            assert client.get("/healthz", headers={"Host": host}).status_code == 200
        check_problem(client.get("/healthz", headers={"Host": "lab.example"}), 421)
    with serving(migrated, host="lab.example") as client:
        assert client.get("/healthz", headers={"Host": "lab.example"}).status_code == 200


def test_no_page_elsewhere_may_read_unless_it_is_named(migrated: Settings) -> None:
    """Without the setting no answer has a CORS header, and a browser's question beforehand is answered no."""
    ask = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    with serving(migrated) as client:
        for answer in (
            client.get("/experiments", headers={"Origin": PAGE}),
            client.options("/experiments", headers=ask),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control")]
    with serving(migrated, cors_origins=("https://other.example",)) as client:
        assert (
            "access-control-allow-origin" not in client.get("/experiments", headers={"Origin": PAGE}).headers
        )
        assert client.options("/experiments", headers=ask).status_code == 400


def test_a_page_of_a_named_origin_may_ask(migrated: Settings) -> None:
    """Beforehand without a token, then with one; 401 can be read there, too. No cookie is ever asked for."""
    ask = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "authorization",
    }
    with serving(migrated, cors_origins=(PAGE,), require_token=True) as client:
        before = client.options("/tokens/x", headers=ask)
        assert before.status_code == 200
        assert before.headers["access-control-allow-origin"] == PAGE
        assert "access-control-allow-credentials" not in before.headers
        shown = bearer(make_token(migrated).token)
        for headers, status in (({}, 401), (shown, 200)):
            answer = client.get("/tokens", headers={"Origin": PAGE, **headers})
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, PAGE)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("allowed_hosts", "Lab.example, *.sub.example", ("lab.example", "*.sub.example")),
        ("allowed_hosts", "[::1] 192.0.2.1", ("::1", "192.0.2.1")),
        ("cors_origins", "https://Lab.example:8443/ http://[::1]:3000", (PAGE, "http://[::1]:3000")),
        ("cors_origins", "", ()),
    ],
)
def test_settings_of_hosts(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, kept: tuple[str, ...]
) -> None:
    """The environment separates them by commas or blanks."""
    monkeypatch.setenv(f"REBALANCE_{name.upper()}", value)
    assert getattr(load_settings(), name) == kept


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("allowed_hosts", "*"),
        ("allowed_hosts", "http://lab.example"),
        ("allowed_hosts", "lab.example:8000"),
        ("allowed_hosts", "a.*.example"),
        ("cors_origins", "*"),
        ("cors_origins", "lab.example"),
        ("cors_origins", "https://*.example"),
        ("cors_origins", "https://lab.example/path"),
        ("cors_origins", "https://user:word@lab.example"),
    ],
)
def test_what_is_no_host_and_no_origin(name: str, value: str) -> None:
    """Refused with the variable's name, and with what is allowed."""
    with pytest.raises(SettingsError, match=rf"REBALANCE_{name.upper()}: .*allowed: "):
        load_settings(**{name: (value,)})
