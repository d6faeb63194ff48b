"""scripts/secrets.sh: what it makes, who may read it, and that it never replaces anything."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import yaml

from tests.paths import ROOT

SCRIPT = ROOT / "scripts" / "secrets.sh"


def _run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", SCRIPT, folder], capture_output=True, text=True, check=False)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_secret_of_the_compose_file_is_made(tmp_path: Path) -> None:
    """No more and no fewer, none empty, no two alike but where one is part of the other."""
    assert _run(tmp_path).returncode == 0
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    made = {file.name: file.read_text(encoding="utf-8").strip() for file in (tmp_path / "secrets").iterdir()}
    assert set(made) == set(compose["secrets"])
    assert all(len(text) >= 48 for text in made.values())
    assert len(set(made.values())) == len(made)
    assert made["database_password"] in made["database_url"]
    keys = json.loads(made["s3_identities"])["identities"][0]["credentials"][0]
    assert keys["accessKey"] in made["s3_credentials"]
    assert keys["secretKey"] in made["s3_credentials"]


def test_others_get_at_none_of_them(tmp_path: Path) -> None:
    """.env is its owner's, and so is the directory; the files in it are for the containers' users to read."""
    _run(tmp_path)
    assert _mode(tmp_path / ".env") == 0o600
    assert _mode(tmp_path / "secrets") == 0o700
    assert {_mode(file) for file in (tmp_path / "secrets").iterdir()} == {0o444}


def test_the_env_file_names_the_directory_and_no_secret(tmp_path: Path) -> None:
    """So that it may be shown to somebody who helps."""
    _run(tmp_path)
    text = (tmp_path / ".env").read_text(encoding="utf-8")
    assert f"REBALANCE_SECRETS={tmp_path}/secrets\n" in text
    for file in (tmp_path / "secrets").iterdir():
        assert file.read_text(encoding="utf-8").strip() not in text


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    """A database that exists knows its passwords: a second run ends with 2 and changes nothing."""
    _run(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again = _run(tmp_path)
    assert again.returncode == 2
    assert ".env exists and is kept" in again.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_nothing_of_a_secret_is_printed(tmp_path: Path) -> None:
    """The terminal's history is read by others."""
    ended = _run(tmp_path)
    for file in (tmp_path / "secrets").iterdir():
        assert file.read_text(encoding="utf-8").strip() not in ended.stdout + ended.stderr
