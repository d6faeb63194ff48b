"""Whether a file is one that torch reads with `weights_only=True`, found without executing anything.

A file of weights is a zip archive (torch.save since 1.6) or a row of pickles with the tensors' bytes behind
them (before). A pickle is a program: what it would import stands in it by name, and is only read here.
torch's own reader, which refuses the same, comes after this one; this one says why in words.
"""

from __future__ import annotations

import io
import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from trainer.base.errors import WeightsError
from trainer.base.text import first_names, printable

_LONGEST_PICKLE = 64 << 20  # names and shapes of tensors, not their bytes
_MOST_RECORDS = 200_000
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 2
_LEGACY_PICKLES = 5  # magic number, protocol, system, the object, keys of the tensors' bytes
_BY_NAME = {"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}
_HARMLESS = re.compile(
    r"""collections\ (OrderedDict|Counter)
    | torch\ (\w+(Storage|Tensor)|Size|device|u?int\d+|float\w+|bfloat16|bool|complex\d+|q\w+|Tensor)
    | torch\.(cuda|storage)\ \w+(Storage|Tensor) | torch\.nn\.parameter\ Parameter
    | torch\._utils\ _rebuild_\w+ | torch\._tensor\ _rebuild_from_type_v2
    | torch\.serialization\ _get_layout | _codecs\ encode | __builtin__\ (set|bytearray|complex)""",
    re.VERBOSE,
)
_PAGE = re.compile(rb"\s*(<!doctype|<html|<\?xml|<head|<body|\{)", re.IGNORECASE)
_HINT = 'its tensors alone, as torch.save(model.state_dict(), "FILE.pth") writes them'


def check_pickles(path: Path) -> None:
    """Reads a file's structure, not its tensors: quick, however large it is.

    Raises:
        WeightsError: it is no file of torch's, is cut short, or would import something else than tensors.
        OSError: it cannot be read.
    """
    if not path.is_file():  # opening a pipe would wait for ever
        raise WeightsError("is not a file" if path.exists() else "does not exist")
    with path.open("rb") as stream:
        head = stream.read(512)
        stream.seek(0)
        if head.startswith(b"PK"):
            tensors = _check_archive(stream)
        elif head.startswith(b"\x80"):
            tensors = _check_legacy(stream)
        else:
            raise WeightsError(_what_else(head))
    if not tensors:
        raise WeightsError(f"holds no tensors; allowed: {_HINT}")


def _what_else(head: bytes) -> str:
    if not head:
        return "is empty"
    if head.startswith(b"\x1f\x8b"):
        return "is compressed with gzip; allowed: the file in it"
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself"
    if _PAGE.match(head):
        return "is a page of text (HTML, XML or JSON), not weights: a server's answer in their place"
    return "is no file that torch has written"


def _check_archive(stream: BinaryIO) -> int:
    """The number of tensors named in it."""
    try:
        with zipfile.ZipFile(stream) as archive:
            records = archive.infolist()
            if len(records) > _MOST_RECORDS:
                raise WeightsError(f"holds {len(records)} records, more than any weights")
            if any(record.compress_type != zipfile.ZIP_STORED for record in records):
                raise WeightsError("is a compressed archive, which torch never writes")
            pickles = [record for record in records if record.filename.endswith("/data.pkl")]
            if len(pickles) != 1:
                scripted = any(name.endswith("/constants.pkl") for name in archive.namelist())
                got = "is a program of TorchScript" if scripted else "is an archive, but not of torch's"
                raise WeightsError(f"{got}; allowed: {_HINT}")
            if pickles[0].file_size > _LONGEST_PICKLE:
                raise WeightsError("has an index of tensors that is far too long")
            index = io.BytesIO(archive.read(pickles[0]))
    except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, struct.error) as error:
        raise WeightsError(f"is cut short or damaged ({printable(str(error))})") from None
    return _tensors_in(index)


def _check_legacy(stream: BinaryIO) -> int:
    """The number of tensors named in the pickles."""
    if ("LONG1", _LEGACY_MAGIC) not in _opcodes(stream):
        stream.seek(0)  # a pickle, but none of torch's: what would it import?
        _tensors_in(stream)
        raise WeightsError("is a pickle, but none that torch has written")
    stream.seek(0)
    return sum(_tensors_in(stream) for _ in range(_LEGACY_PICKLES))


def _tensors_in(stream: BinaryIO) -> int:
    """Tensors' bytes that the pickle at the stream's place refers to. Raises WeightsError for all else."""
    tensors, protocol, foreign = 0, _PROTOCOL, []
    for name, argument in _opcodes(stream):
        if name == "BINPERSID":
            tensors += 1
        elif name == "PROTO":
            protocol = int(str(argument))
        elif name == "GLOBAL" and _HARMLESS.fullmatch(str(argument)):
            continue
        elif name in _BY_NAME:
            by_name = str(argument).replace(" ", ".") if name == "GLOBAL" else "something that it computes"
            foreign.append(printable(by_name)[:100])
    if foreign:
        told = first_names(list(dict.fromkeys(foreign)), most=4)
        raise WeightsError(
            f"would run code when it is opened ({told}), and none of it was run; allowed: {_HINT}"
        )
    if protocol != _PROTOCOL:
        raise WeightsError(
            f"is pickled by protocol {protocol}; allowed: {_PROTOCOL}, as torch.save does by itself"
        )
    return tensors


class _Bounded:
    """A pickle's stream that gives no more at once than a pickle of ours is long.

    A length in a damaged file may be any number, and to read so many bytes takes the memory first.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        if size > _LONGEST_PICKLE:
            raise ValueError(f"an item of {size} bytes")
        return self._stream.read(size)

    def readline(self) -> bytes:
        return self._stream.readline(_LONGEST_PICKLE)


def _opcodes(stream: BinaryIO) -> Iterator[tuple[str, object]]:
    """(name, argument) of each instruction up to the end of one pickle."""
    begin = stream.tell()
    try:
        for opcode, argument, _ in pickletools.genops(cast(BinaryIO, _Bounded(stream))):
            yield opcode.name, argument
            if stream.tell() - begin > _LONGEST_PICKLE:
                raise WeightsError("has an index of tensors that is far too long")
    except (ValueError, EOFError, UnicodeDecodeError, OverflowError) as error:
        raise WeightsError(f"is cut short or damaged ({printable(str(error))[:100]})") from None
