"""Clients in an environment with proxy variables, against a proxy that says which requests reach it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from service.cli.main import main
from service.client import RebalanceClient
from service.client.client import ApiError
from service.reconcile.cluster import BackendUnreachable
from service.reconcile.mlflow_runs import MlflowRuns
from service.reconcile.ray_backend import RayBackend
from service.shared.network.proxies import ProxyRefused
from tests.unit.service.served import Service
from trainer.base.ends import ExitCode

OUTSIDE = "http://192.0.2.1:8000"
_VARIABLES = [name for scheme in ("http", "https", "all", "no") for name in (f"{scheme}_proxy",)]
NOWHERE = "127.0.0.1:9"


class Proxy(ThreadingHTTPServer):
    """Answers 418 to everything, and remembers what was asked for."""

    asked: list[str]


class _Answer(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(418)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", 0), _Answer) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_other_hosts_through_the_proxy(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client, MLflow's and Ray's all take the one that the variable names."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.server_port}")
    with RebalanceClient(OUTSIDE) as client, pytest.raises(ApiError, match="418"):
        client.ready()
    with closing(MlflowRuns(OUTSIDE)) as runs, pytest.raises(BackendUnreachable):
        runs.close_run("1", "FAILED")
    with closing(RayBackend(OUTSIDE)) as ray, pytest.raises(BackendUnreachable):
        ray.ping()
    assert proxy.asked[0] == f"{OUTSIDE}/readyz"
    assert proxy.asked[1].startswith(f"{OUTSIDE}/api/2.0/mlflow/runs/get?")
    assert proxy.asked[2:] == [f"{OUTSIDE}/api/version"]


@pytest.mark.parametrize(
    "value", [f"http://{NOWHERE}", f"socks5://{NOWHERE}", f"socks://{NOWHERE}", "ftp://["]
)
def test_own_addresses_never(service: Service, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Whatever the variables say; also where they except nothing, or nonsense."""
    for name in ("HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "[::1],[")
    with RebalanceClient(service.url) as client:
        assert client.ready().status == "ok"
    with closing(MlflowRuns(service.url)) as runs:
        runs.close_run("1", "FAILED")  # 404: no such run
    with closing(RayBackend(service.url)) as ray, pytest.raises(BackendUnreachable, match="404"):
        ray.ping()  # answered, though not by Ray


@pytest.mark.parametrize(
    ("variables", "code", "told"),
    [
        (
            {"ALL_PROXY": f"socks://{NOWHERE}"},
            ExitCode.BAD_INPUT,
            "rebalance: ALL_PROXY: socks:// is no proxy",
        ),
        (
            {"HTTP_PROXY": f"http://{NOWHERE}", "NO_PROXY": "["},
            ExitCode.BAD_INPUT,
            "rebalance: NO_PROXY: '[' is no host",
        ),
        ({"ALL_PROXY": f"socks5://{NOWHERE}"}, ExitCode.UNREACHABLE, "through the proxy of ALL_PROXY ("),
        (
            {"HTTP_PROXY": f"http://{NOWHERE}", "NO_PROXY": "[::1]"},
            ExitCode.UNREACHABLE,
            "through the proxy of HTTP_PROXY",
        ),
    ],
)
def test_one_line_for_a_person(
    variables: dict[str, str],
    code: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command line names the variable; no traceback, and the address is not blamed."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["list", "--api", OUTSIDE]) == code
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # httpx leaves the socket open
def test_a_socks_proxy_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What answers there speaks HTTP: said as trouble on the way, not as a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                connection.recv(100)

        thread = threading.Thread(target=answer)
        thread.start()
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{server.getsockname()[1]}")
        assert main(["list", "--api", OUTSIDE]) == ExitCode.UNREACHABLE
        thread.join()
    assert "through the proxy of ALL_PROXY" in capsys.readouterr().err


def test_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only fails at the first request would look like a cluster that is down."""
    monkeypatch.setenv("ALL_PROXY", "socks://proxy:1080")
    with pytest.raises(ProxyRefused):
        RayBackend(OUTSIDE)
    with pytest.raises(ProxyRefused):
        MlflowRuns(OUTSIDE)
