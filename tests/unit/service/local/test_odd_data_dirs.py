"""Data directories whose names mean something in a URL, a shell or a configuration file."""

from __future__ import annotations

import os
import shlex
import sqlite3
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import make_url

from service.cli.main import main
from service.local.data_dir import DataDir
from service.local.servers import mlflow_program, write_ray_token
from service.migrations import migrate
from service.shared.endpoints import Endpoints, read_endpoints
from service.shared.settings import load_settings
from service.store.experiments import Store
from tests.unit.service.conftest import new_row
from trainer.base.ends import ExitCode

NAMES = [
    "my data #1",
    "feature%2Fmasks",
    "what?x=1",
    "100%",
    "a&b;c=$HOME",
    'it\'s "quoted"',
    "Größe 日本 😀",
    "back\\slash",
    "sqlite:",
    "{x}%(here)s",
    "n" * 200,
]


@pytest.mark.parametrize("name", NAMES)
def test_the_database_lies_there(tmp_path: Path, name: str) -> None:
    """Made, migrated and used at the path that was given, and nowhere else."""
    settings = load_settings(data_dir=tmp_path / name)
    assert make_url(settings.database).database == str(tmp_path / name / "rebalance.db")
    migrate(settings)
    store = Store(settings.database)
    with store.leadership() as ours:
        assert ours()
        store.create(new_row("e1"), new_tags={})
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with sqlite3.connect(tmp_path / name / "rebalance.db") as connection:
        assert connection.execute("SELECT id FROM experiments").fetchall() == [("e1",)]
    connection.close()


@pytest.mark.parametrize("name", NAMES)
def test_no_address_of_mlflow_has_it(tmp_path: Path, name: str) -> None:
    """MLflow decodes the addresses of its database and its artifacts more than once: they are relative."""
    program = mlflow_program(DataDir(tmp_path / name))
    assert not [word for word in program.argv if str(tmp_path) in word]
    assert program.directory == tmp_path / name / "mlflow"
    assert program.directory.is_dir()


@pytest.mark.parametrize("name", NAMES)
def test_files_for_other_programs(tmp_path: Path, name: str) -> None:
    """A shell reads ray.env's quoting; the addresses are found by the directory."""
    directory = DataDir(tmp_path / name)
    directory.path.mkdir()
    write_ray_token(directory)
    assert directory.ray_token.stat().st_mode & 0o777 == 0o600
    line = f'export A={shlex.quote(str(directory.ray_token))}; cat "$A"'
    shown = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    assert shown == directory.ray_token.read_text()
    directory.endpoints.write_text('{"api": "a", "mlflow": "m", "ray": "r"}')
    assert read_endpoints(directory.path) == Endpoints("a", "m", "r")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("two\nlines", "cannot be written down"),
        ("bell\a", "cannot be written down"),
        (os.fsdecode(b"latin\xe9"), "cannot be written down"),
        ("/".join(["n" * 100] * 6), "is longer than 512 bytes"),
        ("ä" * 300, "is longer than 512 bytes"),
    ],
)
def test_what_a_part_cannot_take_is_refused(
    tmp_path: Path, name: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, in one line, with the setting's name; nothing is made."""
    assert main(["serve", "--data-dir", str(tmp_path / name)]) == ExitCode.BAD_INPUT
    err = capsys.readouterr().err
    assert err.startswith("rebalance: REBALANCE_DATA_DIR: ")
    assert told in err
    assert "allowed: " in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_nobodys_home(capsys: pytest.CaptureFixture[str]) -> None:
    """A user that does not exist has no home directory."""
    assert main(["serve", "--data-dir", "~nobody_of_this_name/x"]) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err.startswith("rebalance: REBALANCE_DATA_DIR: ")


def test_a_name_too_long_for_the_file_system(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The system's own words, with the flag."""
    assert main(["serve", "--data-dir", str(tmp_path / ("n" * 300))]) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err.startswith(f"rebalance: --data-dir {tmp_path}")
