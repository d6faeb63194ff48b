"""Which files may hold a secret, and that what is in them is never told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trainer.base.secret_files import SecretRefused, read_secret

SECRET = "hunter2"


def keep(file: Path, mode: int, content: bytes = f" {SECRET}\n".encode()) -> Path:
    file.write_bytes(content)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_ones_own(tmp_path: Path, mode: int) -> None:
    """Closed to everybody else; blanks and line ends around it are no part of it."""
    assert read_secret(keep(tmp_path / "s", mode), "a word") == SECRET


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601, 0o444])
def test_a_file_that_others_can_use(tmp_path: Path, mode: int) -> None:
    """Refused with the command that mends it."""
    file = keep(tmp_path / "s", mode)
    with pytest.raises(SecretRefused, match=f"chmod 600 {file}") as told:
        read_secret(file, "a word")
    assert SECRET not in str(told.value)


@pytest.mark.parametrize("mode", [0o444, 0o440, 0o400, 0o644])
def test_a_containers_mount(tmp_path: Path, mode: int) -> None:
    """There the engine decides who reads; Kubernetes leads there by links, which are followed."""
    mounted = tmp_path / "run/secrets"
    (mounted / "..data").mkdir(parents=True)
    keep(mounted / "..data/s", mode)
    (mounted / "s").symlink_to("..data/s")
    assert read_secret(mounted / "s", "a word", mounted=mounted) == SECRET


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o602])
def test_a_mount_that_others_can_write_to(tmp_path: Path, mode: int) -> None:
    """Whoever writes it decides where the service goes."""
    file = keep(tmp_path / "s", mode)
    with pytest.raises(SecretRefused, match=r"others can write .* mode 444"):
        read_secret(file, "a word", mounted=tmp_path)


def test_a_way_out_of_the_mount(tmp_path: Path) -> None:
    """What only begins as the mount, or leads out of it, is no mounted secret."""
    mounted = tmp_path / "secrets"
    mounted.mkdir()
    outside = keep(tmp_path / "s", 0o644)
    (mounted / "link").symlink_to(outside)
    for path in (mounted / "../s", mounted / "link"):
        with pytest.raises(SecretRefused, match="others can use"):
            read_secret(path, "a word", mounted=mounted)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_file(tmp_path: Path) -> None:
    """Its owner could put something else there."""
    file = keep(tmp_path / "s", 0o600)
    os.chown(file, 65534, 65534)
    with pytest.raises(SecretRefused, match="is another user's"):
        read_secret(file, "a word")


def test_what_is_no_secret(tmp_path: Path) -> None:
    """Nothing, a directory, bytes, nobody's home: told by the file's name and what it should hold."""
    (tmp_path / "directory").mkdir(mode=0o700)
    keep(tmp_path / "bytes", 0o600, b"\xff")
    for name in ("missing", "directory", "bytes", "~nobody-of-this-name/s"):
        with pytest.raises(SecretRefused, match=rf"{name}: .*a file that holds a word"):
            read_secret(tmp_path / name if "~" not in name else Path(name), "a word")
