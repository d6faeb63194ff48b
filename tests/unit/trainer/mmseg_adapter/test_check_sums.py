"""A checkpoint whose bytes are not those that were written is known, though torch would read it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from trainer.mmseg_adapter.check_sums import damage


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "iter_1.pth"
    torch.save({"weights": torch.arange(1000.0)}, file)
    return file


def test_what_was_written_is_whole(file: Path) -> None:
    """Nothing is wrong with a file of torch's, nor is it said here of one that is no archive."""
    assert damage(file) is None
    file.write_bytes(b"text")
    assert damage(file) is None
    assert damage(file.with_name("missing.pth")) is None


def test_a_turned_bit(file: Path) -> None:
    """torch reads other weights without a word; the check sum of the part tells."""
    whole = bytearray(file.read_bytes())
    at = whole.index(torch.arange(500.0, 502.0).numpy().tobytes())
    whole[at + 2] ^= 1
    file.write_bytes(whole)
    assert not torch.equal(torch.load(file, weights_only=True)["weights"], torch.arange(1000.0))
    found = damage(file)
    assert found is not None
    assert found.startswith("is damaged: the check sum of 'iter_1/data/0' in it")


def test_archives_that_are_none_of_torch_save(tmp_path: Path) -> None:
    """A compressed one is not unpacked to be told, whatever it would come to; nor is a program run."""
    file = tmp_path / "other.pth"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(100_000))
    assert damage(file) == "is a compressed archive, which no checkpoint is"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/constants.pkl", b"")
    assert damage(file) == "is a program of TorchScript, not a checkpoint"
