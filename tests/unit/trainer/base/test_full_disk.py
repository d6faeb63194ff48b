"""A disk without room: the same words from every writer, nothing half-written, and a report that says so."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from trainer.base.errors import DataError, DiskFull
from trainer.base.files import full_disk_told, is_disk_full, write_atomically, write_where_asked
from trainer.base.tee import tee_output
from trainer.run.reported import attempt_error

pytestmark = pytest.mark.slow

_SCRIPT = "tests.unit.trainer.base.full_disk_process"


@cache
def small_disk(directory: Path) -> Mapping[str, Any] | None:
    """What the writers did on a disk of 1 MB, None where we may not mount one."""
    unshare = shutil.which("unshare")
    mount = (
        f'mount -t tmpfs -o size=1m tmpfs "{directory}" && exec "{sys.executable}" -m {_SCRIPT} "{directory}"'
    )
    if unshare is None or subprocess.run([unshare, "-rm", "true"], capture_output=True).returncode:
        return None
    done = subprocess.run([unshare, "-rm", "sh", "-c", mount], capture_output=True, text=True, timeout=120)
    if "mount:" in done.stderr:
        return None
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """As `small_disk`; where that is None, the tests with /dev/full and made-up errors remain."""
    result = small_disk(tmp_path_factory.mktemp("disk"))
    if result is None:
        pytest.skip("a disk of one's own needs user namespaces or root")
    return result


@pytest.mark.parametrize("writer", ["file", "report", "checkpoint", "best", "reserve", "metrics", "scenes"])
def test_every_writer_names_the_directory(found: Mapping[str, Any], writer: str) -> None:
    """`DiskFull: no space left in DIR`, also where torch or PIL have words of their own."""
    assert found[writer]["said"].startswith("DiskFull: no space left in /")
    assert "/here" in found[writer]["said"]


@pytest.mark.parametrize("writer", ["file", "report", "checkpoint", "best", "reserve", "scenes"])
def test_nothing_half_written_stays(found: Mapping[str, Any], writer: str) -> None:
    """No file of the wanted name, and no temporary one."""
    assert found[writer]["left"] == {}


def test_records_are_whole(found: Mapping[str, Any]) -> None:
    """What was written of a line for which there was no room is taken back."""
    assert set(found["metrics"]["left"]) == {"metrics.jsonl"}
    assert found["metrics"]["left"]["metrics.jsonl"][-2:] in ("}\n", "")


def test_what_is_to_be_deleted_is_marked_without_room(found: Mapping[str, Any]) -> None:
    """Deleting makes room: it must not need any."""
    assert found["deleted"]["said"] == "nothing"


def test_the_report_says_that_the_disk_is_full(found: Mapping[str, Any]) -> None:
    """Room for it was kept; the error can be tried again, and neither checkpoint nor reserve is left."""
    error = found["attempt"]["error"]
    assert error["type"] == "DiskFull"
    assert error["message"].startswith("no space left in /")
    assert error["retryable"]
    assert found["attempt"]["left"] == ["log.txt", "report.json"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_in_other_words(number: int, tmp_path: Path) -> None:
    """The disk or one's share of it, and a library's error that came of it; others stay what they are."""

    def torch_does() -> None:
        try:
            raise OSError(number, os.strerror(number))
        except OSError:
            raise RuntimeError("[enforce fail at inline_container.cc:672]")  # noqa: B904

    with pytest.raises(DiskFull, match=f"^no space left in {tmp_path}$"), full_disk_told(tmp_path):
        torch_does()
    with pytest.raises(PermissionError), full_disk_told(tmp_path):
        raise PermissionError(errno.EACCES, "denied")
    assert not is_disk_full(None)
    assert not is_disk_full(DataError("no space left in the spec"))


def test_worth_another_try() -> None:
    """Somebody makes room; also where the error came from a library that writes by itself."""
    assert attempt_error(DiskFull("/data")).model_dump() == {
        "type": "DiskFull",
        "message": "no space left in /data",
        "retryable": True,
    }
    foreign = attempt_error(OSError(errno.ENOSPC, "No space left on device", "/data/ray_train"))
    assert (foreign.type, foreign.retryable) == ("DiskFull", True)
    assert "/data/ray_train" in foreign.message
    assert not attempt_error(OSError(errno.EACCES, "denied")).retryable


def test_a_device_without_room(capfd: pytest.CaptureFixture[str]) -> None:
    """A file that a person named, and a log: what is printed still reaches the terminal, and nobody hangs."""
    with pytest.raises(DiskFull):
        write_where_asked(Path("/dev/full"), "text")
    with Path("/dev/full").open("ab", buffering=0) as log, tee_output(log):
        os.write(1, b"x" * 200_000 + b"\n")  # more than a pipe holds
    assert len(capfd.readouterr().out) == 200_001


def test_the_old_content_stays(tmp_path: Path) -> None:
    """A file of a mode of its own is replaced whole; its mode is as asked."""
    path = tmp_path / "token"
    write_atomically(path, "old", mode=0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["token"]
