"""A file of weights → its tensors by name, with `weights_only=True` and by no other way."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from trainer.base.errors import WeightsError
from trainer.base.text import printable
from trainer.weights.pickles import check_pickles

# What torch's reader makes of bytes that are not as it wrote them.
_DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
_WRAPPERS = ("state_dict", "model", "module")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name, on the CPU, as the file has them; what it keeps beside them is left out.

    A file in torch's present form is mapped: processes that read it at once share its memory.

    Raises:
        WeightsError: naming the file; see `check_pickles`.
    """
    try:
        check_pickles(path)
        return _named_tensors(_load(path))
    except WeightsError as error:
        raise WeightsError(f"{path} {error}") from None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror or error})") from None


def _load(path: Path) -> object:
    with path.open("rb") as stream:
        mapped = stream.read(2) == b"PK"
    try:
        loaded: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        why = printable(str(error).partition("\n")[0])[:200]
        raise WeightsError(f"holds more than tensors and plain values ({why})") from None
    except _DAMAGED as error:
        raise WeightsError(f"is cut short or damaged ({printable(str(error))[:200]})") from None
    return loaded


def _named_tensors(loaded: object) -> dict[str, Tensor]:
    for name in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping):
            loaded = loaded[name]
    entries = loaded.items() if isinstance(loaded, Mapping) else ()
    found = {name: value for name, value in entries if isinstance(name, str) and isinstance(value, Tensor)}
    if not found:
        raise WeightsError("holds no tensors by name, neither as it is nor in " + ", ".join(_WRAPPERS))
    return found
