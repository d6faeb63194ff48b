"""Settings from the environment: what is taken, what is refused by name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from service.shared.database_url import has_password
from service.shared.settings import Settings, SettingsError, load_settings

_OF_COMPOSE = ("BIND", "DATA", "IMAGES", "INSTANCE", "NAMES", "RUNS", "SECRETS", "TAG", "TLS_CERTIFICATE")


def test_defaults_lie_in_the_data_dir(tmp_path: Path) -> None:
    """Database and storage follow the data directory."""
    settings = load_settings(data_dir=tmp_path)
    assert settings.database == f"sqlite:///{tmp_path}/rebalance.db"
    assert settings.layout.root == tmp_path / "storage"
    assert (settings.host, settings.port, settings.max_running, settings.max_attempts) == (
        "127.0.0.1",
        8000,
        2,
        3,
    )


def test_environment_is_read_and_arguments_go_before_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A flag beats a variable; a flag that was not given (None) does not."""
    monkeypatch.setenv("REBALANCE_PORT", "9000")
    monkeypatch.setenv("REBALANCE_MAX_RUNNING", "7")
    settings = load_settings(data_dir=tmp_path, port=9001, max_running=None)
    assert (settings.port, settings.max_running) == (9001, 7)


@pytest.mark.parametrize("near", ["MAX_RUNING", "POLL_SECOND", "DATABASE_URI"])
def test_a_misspelt_variable_is_told(near: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever set it takes it for set: the service does not start, and the right name is said."""
    right = {"MAX_RUNING": "MAX_RUNNING", "POLL_SECOND": "POLL_SECONDS", "DATABASE_URI": "DATABASE_URL"}[near]
    monkeypatch.setenv(f"REBALANCE_{near}", "7")
    with pytest.raises(SettingsError, match=f"^REBALANCE_{near}: is no setting; allowed: REBALANCE_{right}$"):
        load_settings(data_dir=tmp_path)


def test_variables_of_others_are_theirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Compose files and the command line have some of this prefix: none of them is nearly a setting."""
    for name in (*_OF_COMPOSE, "TOKEN", "TOKEN_FILE", "API", "ALLOW_HTTP"):
        monkeypatch.setenv(f"REBALANCE_{name}", "7")
    assert load_settings(data_dir=tmp_path).max_running == 2


def test_data_roots_as_a_path_list_or_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both ways to write several directories give the same."""
    wanted = (tmp_path / "a", tmp_path / "b")
    for text in (os.pathsep.join(map(str, wanted)), json.dumps([str(path) for path in wanted])):
        monkeypatch.setenv("REBALANCE_DATA_ROOTS", text)
        assert load_settings(data_dir=tmp_path).data_roots == wanted
    monkeypatch.setenv("REBALANCE_DATA_ROOTS", "")
    assert load_settings(data_dir=tmp_path).data_roots == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "70000"),
        ("port", "x"),
        ("max_running", "0"),
        ("max_attempts", "0"),
        ("poll_seconds", "0"),
        ("data_roots", "/"),
        ("data_roots", "a=/x:a=/y"),
        ("data_roots", "a b=/x"),
        ("max_cluster", "8 GPUs"),
        ("data_roots", "[1"),
        ("database_url", "mysql://me:hunter2@x"),
        ("database_url", "postgresql://me:p@hunter2@host/db"),
        ("database_url", "postgresql://me@host:hunter2/db"),
        ("database_url", "postgresql://host/db@hunter2"),
        ("database_url", "postgresql://host:99999999/hunter2"),
        ("ray_address", "auto"),
        ("mlflow_uri", "http://user:hunter2@host"),
        ("ray_address", "http://user:hunter2@host:8265"),
        ("mlflow_public_url", "https://user:hunter2@host"),
        ("mlflow_public_url", "mlflow.lab.example"),
    ],
)
def test_unsafe_values_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    """The message names the variable and never repeats a password."""
    monkeypatch.setenv(f"REBALANCE_{name.upper()}", value)
    with pytest.raises(SettingsError, match=f"REBALANCE_{name.upper()}") as caught:
        load_settings(data_dir=tmp_path)
    assert "hunter2" not in str(caught.value)
    assert "Value error" not in str(caught.value)


def test_the_database_password_is_not_shown(tmp_path: Path) -> None:
    """Settings can be logged."""
    settings = Settings(data_dir=tmp_path, database_url="postgresql://me:hunter2@db/rebalance")
    assert "hunter2" not in repr(settings)
    assert settings.database == "postgresql://me:hunter2@db/rebalance"


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("postgresql://me:hunter2@host/db", True),
        ("postgresql+psycopg://me:hun/t?er2@[::1]:5432/db", True),
        ("postgresql://host/db?user=me&password=hunter2", True),
        ("postgresql://me:p@hunter2@host/db", True),
        ("postgresql://me@host:5432/db", False),
        ("postgresql://me:@host/db", False),
        ("postgresql:///db?host=%2Fvar%2Frun", False),
        ("postgresql://", False),
        ("sqlite:////tmp/x.db", False),
    ],
)
def test_a_password_in_a_url_is_seen(url: str, secret: bool) -> None:
    """Wherever it stands, also in a URL that is none."""
    assert has_password(url) is secret


def test_only_an_http_mlflow_has_a_server(tmp_path: Path) -> None:
    """Runs of a file or database store cannot be closed over REST."""
    assert Settings(data_dir=tmp_path, mlflow_uri="sqlite:///x.db").mlflow_server is None
    assert (
        Settings(data_dir=tmp_path, mlflow_uri="http://127.0.0.1:5000/").mlflow_server
        == "http://127.0.0.1:5000"
    )


@pytest.fixture
def url_file(tmp_path: Path) -> Path:
    file = tmp_path / "url"
    file.touch(mode=0o600)
    file.write_text("postgresql://me:hunter2@db/rebalance\n")
    return file


def test_the_databases_url_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url_file: Path
) -> None:
    """No variable has the password then; a flag goes before the file, an empty variable names none."""
    monkeypatch.setenv("REBALANCE_DATABASE_URL_FILE", str(url_file))
    settings = load_settings(data_dir=tmp_path)
    assert settings.database == "postgresql://me:hunter2@db/rebalance"
    assert "hunter2" not in repr(settings)
    assert load_settings(data_dir=tmp_path, database_url="sqlite:///x.db").database == "sqlite:///x.db"
    monkeypatch.setenv("REBALANCE_DATABASE_URL_FILE", "")
    assert load_settings(data_dir=tmp_path).database == f"sqlite:///{tmp_path}/rebalance.db"


def test_a_url_file_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url_file: Path
) -> None:
    """Told by the variable and the file, never by what is in it."""
    monkeypatch.setenv("REBALANCE_DATABASE_URL_FILE", str(url_file))

    def told() -> str:
        with pytest.raises(SettingsError, match=r"^REBALANCE_DATABASE_URL_FILE: ") as caught:
            load_settings(data_dir=tmp_path)
        assert "hunter2" not in str(caught.value)
        return str(caught.value)

    url_file.chmod(0o644)
    assert f"chmod 600 {url_file}" in told()
    url_file.chmod(0o600)
    url_file.write_text("postgresql://me:p@hunter2@host/db")
    assert f"{url_file}: allowed: postgresql://USER" in told()
    url_file.unlink()
    assert f"{url_file}: No such file" in told()
    monkeypatch.setenv("REBALANCE_DATABASE_URL", "sqlite:///x.db")
    assert "allowed: one of the two" in told()


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A compose file hands on what is not set as empty text."""
    for name in ("MAX_CLUSTER", "MLFLOW_PUBLIC_URL", "PORT", "DATA_ROOTS"):
        monkeypatch.setenv(f"REBALANCE_{name}", "")
    settings = load_settings(data_dir=tmp_path)
    assert (settings.max_cluster, settings.mlflow_public_url, settings.port) == (None, None, 8000)
    assert settings.data_roots == ()
