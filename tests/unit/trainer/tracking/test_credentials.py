"""Name and password for MLflow: where they are found, and what is said where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.tracking.credentials import Credentials, CredentialsRefused, mlflow_credentials, show_credentials

NAME = {"MLFLOW_TRACKING_USERNAME": "me"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text("of-the-file\n")
    return path


def test_where_they_are_found(file: Path) -> None:
    """MLflow's own variables; a file goes before its password, which it may have been the source of."""
    named = NAME | {"MLFLOW_TRACKING_PASSWORD_FILE": str(file)}
    assert mlflow_credentials({}) is None
    assert mlflow_credentials(NAME | {"MLFLOW_TRACKING_PASSWORD": "hunter2"}) == ("me", "hunter2")
    assert mlflow_credentials(named | {"MLFLOW_TRACKING_PASSWORD": "hunter2"}) == ("me", "of-the-file")
    assert "hunter2" not in repr(Credentials("me", "hunter2"))


def test_mlflows_client_finds_a_files_password(file: Path) -> None:
    """In its own variable, as it is in the file now; nothing is put there where no file is named."""
    environment = NAME | {"MLFLOW_TRACKING_PASSWORD_FILE": str(file)}
    for password in ("of-the-file", "another"):
        file.write_text(password)
        show_credentials(environment)
        assert environment["MLFLOW_TRACKING_PASSWORD"] == password
    nothing: dict[str, str] = {}
    show_credentials(nothing)
    assert nothing == {}


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (NAME, "MLFLOW_TRACKING_PASSWORD or …_FILE: is missing beside MLFLOW_TRACKING_USERNAME"),
        ({"MLFLOW_TRACKING_PASSWORD": "hunter2"}, "MLFLOW_TRACKING_USERNAME: is missing"),
        (NAME | {"MLFLOW_TRACKING_PASSWORD_FILE": "/missing"}, "MLFLOW_TRACKING_PASSWORD_FILE: /missing"),
    ],
)
def test_a_half_is_refused(variables: dict[str, str], told: str) -> None:
    """The message names the variable, and never the password."""
    with pytest.raises(CredentialsRefused, match=told) as caught:
        mlflow_credentials(variables)
    assert "hunter2" not in str(caught.value)


def test_an_open_or_empty_file_is_refused(file: Path) -> None:
    """Others could read it; or it holds nothing."""
    named = NAME | {"MLFLOW_TRACKING_PASSWORD_FILE": str(file)}
    file.chmod(0o644)
    with pytest.raises(CredentialsRefused, match="chmod 600"):
        mlflow_credentials(named)
    file.chmod(0o600)
    file.write_text("\n")
    with pytest.raises(CredentialsRefused, match="is empty"):
        mlflow_credentials(named)
