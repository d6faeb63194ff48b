"""`rebalance token`: on the database, over the API; and a service that asks for tokens, from a terminal."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.api.app import create_app
from service.cli.main import main
from service.client import RebalanceClient
from service.local.api_server import ApiServer
from service.local.data_dir import bind, url_of
from service.local.first_token import NobodyMayComeIn, need_a_token
from service.shared.settings import Settings
from service.shared.tokens import new_secret, well_formed
from tests.data_factories import spec_document
from tests.fakes import FakeBackend
from tests.unit.service.conftest import make_token
from tests.unit.service.served import LIMIT_SECONDS
from trainer.base.ends import ExitCode

Capture = pytest.CaptureFixture[str]


@dataclass
class Closed:
    """A service under uvicorn that asks for tokens."""

    url: str
    settings: Settings
    backend: FakeBackend


@pytest.fixture
def closed(migrated: Settings) -> Iterator[Closed]:
    settings = migrated.model_copy(update={"require_token": True})
    backend, probe, bound = FakeBackend(), new_secret(), bind("127.0.0.1", 0)
    app = create_app(settings, backend, probe=probe)
    server = ApiServer(app, bound, settings.data_dir / "service.log", probe=probe)
    server.start()
    server.wait(threading.Event(), LIMIT_SECONDS, needed=("backend", "reconciler"))
    yield Closed(url_of(bound), settings, backend)
    server.stop()


def _directory(tmp_path: Path) -> list[str]:
    return ["--data-dir", str(tmp_path / "data")]


def test_the_first_token_is_made_before_the_service_ever_ran(tmp_path: Path, capsys: Capture) -> None:
    """stdout is the token alone, for a file; what is to be known of it is on stderr."""
    assert main(["token", "create", "me", "--scope", "admin", *_directory(tmp_path)]) == ExitCode.DONE
    out, err = capsys.readouterr()
    assert well_formed(out.removesuffix("\n"))
    assert "scope admin, never expires" in err
    assert out.strip() not in err


def test_list_and_revoke(tmp_path: Path, capsys: Capture) -> None:
    """The list never has the token; revoked, it stays in the list."""
    assert (
        main(["token", "create", "kim", "--expires", "3", "--json", *_directory(tmp_path)]) == ExitCode.DONE
    )
    made = json.loads(capsys.readouterr().out)
    assert (made["scope"], made["expires_at"] is not None) == ("user", True)
    assert main(["token", "list", *_directory(tmp_path)]) == ExitCode.DONE
    table = capsys.readouterr().out
    assert made["shown"] in table
    assert made["token"] not in table
    assert main(["token", "revoke", made["id"], *_directory(tmp_path)]) == ExitCode.DONE
    capsys.readouterr()
    assert main(["token", "list", "--json", *_directory(tmp_path)]) == ExitCode.DONE
    found = json.loads(capsys.readouterr().out)
    (one,) = found["items"] if isinstance(found, dict) else found
    assert (one["id"], one["state"]) == (made["id"], "revoked")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["create", "a b"], "NAME: 'a b' is refused; allowed: letters"),
        (["create", "a", "--expires", "0"], "--expires: '0' is refused; allowed: a whole number"),
        (["create", "a", "--expires", "9999"], "allowed: 1 to 3650 days"),
        (["create", "a", "--scope", "root"], "--scope: invalid choice: 'root'"),
        (["create", "a", "--api", "http://h"], "not allowed with argument"),
        (["create", "a", "--database-url", "postgresql://me:hunter2@host/db"], "not allowed with argument"),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, capsys: Capture, words: list[str], told: str) -> None:
    """One line that names the option; nothing is made."""
    with pytest.raises(SystemExit) as ended:
        main(["token", *words, *_directory(tmp_path)])
    assert ended.value.code == ExitCode.BAD_INPUT
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_places_without_tokens(tmp_path: Path, capsys: Capture) -> None:
    """A mistyped directory is not made, a password not taken, an unknown id told."""
    for words in (["list"], ["revoke", "tok-1"]):
        assert main(["token", *words, *_directory(tmp_path)]) == ExitCode.BAD_INPUT
        assert "no service has been here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    url = "postgresql://me:hunter2@host/db"
    assert main(["token", "list", "--database-url", url]) == ExitCode.BAD_INPUT
    assert "hunter2" not in capsys.readouterr().err
    assert main(["token", "create", "kim", *_directory(tmp_path)]) == ExitCode.DONE
    assert main(["token", "revoke", "tok-1", *_directory(tmp_path)]) == ExitCode.BAD_INPUT
    assert "there is no token 'tok-1'" in capsys.readouterr().err


def test_over_the_api(closed: Closed, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """With an admin's token the same three; with a user's the scope that is needed is named."""
    monkeypatch.setenv("REBALANCE_TOKEN", make_token(closed.settings).token)
    api = ["--api", closed.url, "--json"]
    assert main(["token", "create", "kim", *api]) == ExitCode.DONE
    made = json.loads(capsys.readouterr().out)
    assert main(["token", "revoke", made["id"], *api]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["state"] == "revoked"
    monkeypatch.setenv("REBALANCE_TOKEN", make_token(closed.settings, "user").token)
    assert main(["token", "list", "--api", closed.url]) == ExitCode.BAD_INPUT
    assert "this needs scope admin" in capsys.readouterr().err


def test_commands_at_a_service_that_asks_for_tokens(
    closed: Closed, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Without one: the line says which variable; with a viewer's one reads, with a user's one submits."""
    assert main(["list", "--api", closed.url]) == ExitCode.BAD_INPUT
    assert "REBALANCE_TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("REBALANCE_TOKEN", make_token(closed.settings, "viewer").token)
    assert main(["list", "--api", closed.url]) == ExitCode.DONE
    with RebalanceClient(closed.url, token=make_token(closed.settings, "user").token) as client:
        assert client.submit(spec_document()).id
        assert client.ready().checks["database"] == "ok"


def test_a_file_that_others_can_read(
    closed: Closed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Exit code 2, and the command that mends it."""
    file = tmp_path / "token"
    file.write_text(make_token(closed.settings).token)
    file.chmod(0o644)
    monkeypatch.delenv("REBALANCE_TOKEN")
    monkeypatch.setenv("REBALANCE_TOKEN_FILE", str(file))
    assert main(["list", "--api", closed.url]) == ExitCode.BAD_INPUT
    assert f"chmod 600 {file}" in capsys.readouterr().err
    file.chmod(0o600)
    assert main(["list", "--api", closed.url]) == ExitCode.DONE


@pytest.mark.parametrize("options", [["--host", "0.0.0.0"], ["--require-token"]])
def test_serve_starts_for_nobody_no_service(tmp_path: Path, capsys: Capture, options: list[str]) -> None:
    """While no token lets anybody in: one line with the command that makes one; nothing was started."""
    where = _directory(tmp_path)
    assert main(["serve", *options, "--port", "0", *where]) == ExitCode.BAD_INPUT
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"rebalance token create NAME --scope admin --data-dir {tmp_path}/data" in err
    assert not (tmp_path / "data" / "processes.json").exists()


def test_which_tokens_let_a_service_start(migrated: Settings) -> None:
    """A user's or admin's; a viewer's could only look. An open one needs none."""
    need_a_token(migrated)
    settings = migrated.model_copy(update={"host": "0.0.0.0"})
    make_token(settings, "viewer")
    with pytest.raises(NobodyMayComeIn, match=r"0\.0\.0\.0: others can reach it"):
        need_a_token(settings)
    make_token(settings, "user")
    need_a_token(settings)


def test_a_token_may_be_made_beside_a_running_service(
    migrated: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Where that is said, as containers do: it starts, and its log says that nobody comes in yet."""
    need_a_token(migrated.model_copy(update={"host": "0.0.0.0", "token_later": True}))
    assert "no token lets anybody in yet" in caplog.text
