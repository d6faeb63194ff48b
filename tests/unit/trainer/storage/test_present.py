"""A storage is told from the empty directory where it is mounted."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.base.errors import StorageAway
from trainer.storage.layout import Storage
from trainer.storage.present import Presence


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "storage"
    made.mkdir()
    return made


def never() -> bool:
    return False


def always() -> bool:
    return True


def test_what_was_there_and_is_gone_is_away_until_it_is_back(root: Path) -> None:
    """Nothing is put into what is there instead."""
    presence = Presence(Storage.at(root), never)
    presence.check()
    root.rename(root.with_name("unmounted"))
    root.mkdir()
    with pytest.raises(StorageAway, match=f"^{root}: what was stored there is gone"):
        presence.check()
    assert list(root.iterdir()) == []
    root.rmdir()
    root.with_name("unmounted").rename(root)
    presence.check()


def test_a_service_that_starts_before_the_mount_waits_for_it(root: Path) -> None:
    """It knows from its database that something was run."""
    with pytest.raises(StorageAway):
        Presence(Storage.at(root), always).check()


def test_storage_from_before_is_known_by_what_was_run_in_it(root: Path) -> None:
    (root / "runs").mkdir()
    Presence(Storage.at(root), always).check()
    Presence(Storage.at(root), always).check()
