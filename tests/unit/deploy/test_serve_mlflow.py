"""deploy/mlflow/serve.py: what it takes from files, and what it says where something is missing."""

from __future__ import annotations

import importlib.util
import stat
from pathlib import Path
from types import ModuleType

import pytest

from tests.paths import ROOT

NAMES = ("PGPASSWORD", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY")


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, with a file for each secret, and a place of its own for what it writes."""
    spec = importlib.util.spec_from_file_location("serve_mlflow", ROOT / "deploy" / "mlflow" / "serve.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_LOG_IN", tmp_path / "log-in.ini")
    monkeypatch.setenv("MLFLOW_AUTH_DATABASE_URI", "postgresql+psycopg://mlflow@postgres/mlflow_auth")
    for name in NAMES:
        (tmp_path / name).write_text(f"the-{name}\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    return module


def test_secrets_come_from_files(serve: ModuleType) -> None:
    """Without the line's end."""
    assert serve.secrets() == {name: f"the-{name}" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_is_named(
    serve: ModuleType, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable, a file, or what should be in it; never what is in another."""
    (tmp_path / name).write_text("\n")
    with pytest.raises(serve.NotConfigured, match=rf"{name}_FILE: .*/{name} is empty"):
        serve.secrets()
    (tmp_path / name).unlink()
    with pytest.raises(serve.NotConfigured, match=rf"{name}_FILE: .*: No such file"):
        serve.secrets()
    monkeypatch.setenv(f"{name}_FILE", "")
    with pytest.raises(serve.NotConfigured, match=f"{name}_FILE is missing"):
        serve.secrets()


def test_the_log_ins_file_has_no_password(serve: ModuleType, tmp_path: Path) -> None:
    """And is its owner's all the same: it names the database."""
    serve.write_log_in()
    file = tmp_path / "log-in.ini"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "admin_username = admin\n" in file.read_text()
    assert "the-" not in file.read_text()


def test_a_destination_that_is_no_bucket_is_refused(serve: ModuleType) -> None:
    """Before anything is asked."""
    with pytest.raises(serve.NotConfigured, match="allowed: s3://BUCKET"):
        serve.make_bucket("/srv/artifacts")
