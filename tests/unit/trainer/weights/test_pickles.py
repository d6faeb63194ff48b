"""Files that are no weights: none is executed, none takes the machine down, each is refused in words."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import re
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trainer.weights.files import saved
from trainer.base.errors import WeightsError
from trainer.weights.pickles import check_pickles
from trainer.weights.tensors import read_tensors

GOOD = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.ones(2)}


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file.pth"
    path.write_bytes(content)
    return path


def zipped(records: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        OrderedDict(GOOD),
        {"state_dict": GOOD, "meta": {"epoch": 3, "classes": ("a", "b"), "lr": 0.1, "none": None}},
        {"model": OrderedDict(GOOD), "optimizer": {"state": {0: {"step": 3}}}},
        {name: torch.nn.Parameter(tensor) for name, tensor in GOOD.items()},
        {name: tensor.half() if name == "conv.bias" else tensor for name, tensor in GOOD.items()},
    ],
)
def test_weights_are_read(content: Any, legacy: bool, tmp_path: Path) -> None:
    """Bare, in a wrapper, as parameters, in both of torch's forms: the tensors by name."""
    found = read_tensors(write(tmp_path, saved(content, legacy=legacy)))
    assert found.keys() == GOOD.keys()
    assert all(torch.equal(found[name].float(), tensor) for name, tensor in GOOD.items())


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "protocol 4", "text"])
def test_a_bomb_does_not_go_off(form: str, tmp_path: Path) -> None:
    """Whatever it is wrapped in: refused, what it would call is named, and it was not called."""
    made = tmp_path / "made"
    content = {"state_dict": GOOD, "meta": Bomb(made)}
    if form in ("zip", "legacy"):
        written = saved(content, legacy=form == "legacy")
    else:
        protocol = {"pickle": 2, "protocol 4": 4, "text": 0}[form]
        written = pickle.dumps({"meta": Bomb(made)}, protocol=protocol)
    with pytest.raises(WeightsError) as refused:
        read_tensors(write(tmp_path, written))
    assert not made.exists()
    words = {"text": "no file that torch has written", "protocol 4": "something that it computes"}
    assert words.get(form, "would run code when it is opened (posix.mkdir)") in str(refused.value)


@pytest.mark.parametrize("foreign", [argparse.Namespace(lr=1), np.float64(3.0), re.compile("x")])
def test_what_is_no_tensor_is_named(foreign: object, tmp_path: Path) -> None:
    """Options or numpy's numbers beside the tensors: how to keep the tensors alone is told."""
    with pytest.raises(WeightsError, match=r"(argparse|numpy|re)\..*allowed: its tensors alone"):
        read_tensors(write(tmp_path, saved({"state_dict": GOOD, "args": foreign})))


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>404</html>", "page of text"),
        (b'{"error": "rate limited"}', "page of text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"\x1f\x8b\x08" + b"0" * 50, "gzip"),
        (b"\x89PNG\r\n" + b"\0" * 50, "no file that torch has written"),
        (tar(), "no file that torch has written"),
        (b"PK\x03\x04" + b"\0" * 50, "cut short or damaged"),
        (b"\x80\x02", "cut short or damaged"),
        (b"\x80\x02}.", "none that torch has written"),
        (zipped({"a.txt": b"hello"}), "an archive, but not of torch's"),
        (zipped({"x/data.pkl": b"\x80\x02}.", "x/constants.pkl": b"\x80\x02}."}), "holds no tensors"),
        (zipped({"x/code/model.py": b"", "x/constants.pkl": b""}), "TorchScript"),
        (zipped({"x/data.pkl": b"\0" * 10_000_000}, zipfile.ZIP_DEFLATED), "a compressed archive"),
        (zipped({"x/data.pkl": b"\x80\x02X\xff\xff\xff\x7fa"}), "cut short or damaged"),
        (saved({"a": 1}), "holds no tensors"),
        (saved([torch.ones(2)]), "holds no tensors by name"),
        (saved({"epoch": {"x": torch.ones(2)}}), "holds no tensors by name"),
    ],
)
def test_other_files_are_told_apart(content: bytes, words: str, tmp_path: Path) -> None:
    """In words that say what it is, with the file's path before them."""
    path = write(tmp_path, content)
    with pytest.raises(WeightsError, match=words) as refused:
        read_tensors(path)
    assert str(refused.value).startswith(f"{path} ")


@pytest.mark.parametrize("legacy", [False, True])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused(share: float, legacy: bool, tmp_path_factory: Any) -> None:
    """And never by another error."""
    whole = saved(GOOD, legacy=legacy)
    path = write(tmp_path_factory.getbasetemp(), whole[: int(share * len(whole))])
    with pytest.raises(WeightsError):
        read_tensors(path)


@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), legacy=st.booleans())
def test_a_changed_byte_never_crashes(place: float, byte: int, legacy: bool, tmp_path_factory: Any) -> None:
    """It is read, or refused: nothing else comes out."""
    changed = bytearray(saved(GOOD, legacy=legacy))
    changed[int(place * len(changed))] = byte
    try:
        read_tensors(write(tmp_path_factory.getbasetemp(), bytes(changed)))
    except WeightsError:
        return


@pytest.mark.parametrize("opcode", [b"\x8d", b"\x8e", b"\x96"])  # BINUNICODE8, BINBYTES8, BYTEARRAY8
def test_a_length_of_any_size_takes_no_memory(opcode: bytes, tmp_path: Path) -> None:
    """Nothing of that size is asked for: refused as damaged, with the number."""
    content = b"\x80\x02" + opcode + (2**62).to_bytes(8, "little")
    with pytest.raises(WeightsError, match=f"damaged .an item of {2**62} bytes"):
        check_pickles(write(tmp_path, content))


@pytest.mark.parametrize("path", ["missing", "directory", "pipe"])
def test_what_is_no_file(path: str, tmp_path: Path) -> None:
    """Refused at once; a pipe is not waited for."""
    where = tmp_path / path
    if path == "directory":
        where.mkdir()
    if path == "pipe":
        os.mkfifo(where)
    with pytest.raises(WeightsError, match="does not exist" if path == "missing" else "is not a file"):
        check_pickles(where)
