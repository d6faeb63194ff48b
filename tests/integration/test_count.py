"""`python -m trainer.count` in processes of its own: a real local Ray, local processes, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.data_factories import write_folder

pytestmark = pytest.mark.integration
LIMIT_SECONDS = 180.0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 masks of 24×32 with four classes and void, in a folder data set."""
    rng = np.random.default_rng(0)
    masks = [rng.choice([0, 1, 2, 3, 255], size=(24, 32)) for _ in range(300)]
    names = ("road", "tree", "car", "pole")
    return write_folder(tmp_path_factory.mktemp("data"), {"train": masks}, classes=names)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trainer.count", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)


def counted(*arguments: str | Path) -> Any:
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_ray_counts_what_one_process_counts(root: Path, tmp_path: Path) -> None:
    """One process, two, and a Ray of our own agree; the Ray is gone afterwards (the module's fixture)."""
    one = counted(root, "--processes", "1", "--data-dir", tmp_path / "one")
    two = counted(root, "--processes", "2", "--data-dir", tmp_path / "two")
    ray = counted(root, "--ray", "--processes", "2", "--data-dir", tmp_path / "ray")
    assert one == two == ray
    assert one["images"] == 300
    assert sum(row["pixel_frequency"] for row in one["classes"]) < 300 * 24 * 32


def test_a_bad_mask_is_named_through_ray_as_well(root: Path, tmp_path: Path) -> None:
    """Exit code 2, every kind of fault in one message, nothing kept or written."""
    masks = [np.zeros((4, 4), np.uint8)] * 3
    bad = write_folder(tmp_path / "bad", {"train": masks})
    (bad / "annotations" / "train" / "p0.png").write_bytes(b"no picture")
    Image.new("L", (4, 4), 77).save(bad / "annotations" / "train" / "p1.png")
    done = run(
        bad, "--ray", "--processes", "1", "--write", tmp_path / "f.csv", "--data-dir", tmp_path / "kept"
    )
    assert done.returncode == 2, done.stderr
    assert "p0.png: is not PNG" in done.stderr
    assert "p1.png (id 77)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "f.csv").exists()
    assert not list((tmp_path / "kept").rglob("*.json"))


@pytest.mark.parametrize("address", ["ray-is-not-here", "127.0.0.1:1"])
def test_no_cluster_at_the_address(root: Path, tmp_path: Path, address: str) -> None:
    """An address where no Ray answers ends with exit code 1 and one line that names it, within seconds."""
    started = time.monotonic()
    done = run(root, "--ray", address, "--data-dir", tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith(f"Ray at '{address}': ")
    assert done.stderr.count("\n") == 1
    assert time.monotonic() - started < LIMIT_SECONDS / 3


ENDLESS = """
import sys
import threading
import time
from pathlib import Path
from trainer.data import frequency
from trainer.count import main

if __name__ == "__main__":
    chunks_of, count_locally = frequency.chunks_of, frequency.count_locally

    def count_slowly(*arguments):
        for part in count_locally(*arguments):
            Path(sys.argv[1]).touch()
            yield part

    frequency.chunks_of = lambda masks: chunks_of(masks) * 3000
    frequency.count_locally = count_slowly
    sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_a_signal_ends_its_processes_too(
    root: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Stopped while two processes count: its exit code, no traceback, no process left (the fixture)."""
    script, counting = tmp_path / "endless.py", tmp_path / "counting"
    script.write_text(ENDLESS)
    command = [sys.executable, script, counting, root, "--processes", "2", "--data-dir", tmp_path]
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    pause, end = threading.Event(), time.monotonic() + LIMIT_SECONDS
    while not counting.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        pause.wait(0.05)
    process.send_signal(number)
    said = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, said[0]) == (code, "")
    assert "Traceback" not in said[1]


@pytest.mark.parametrize("flag", ["--json", "--table"])
def test_a_reader_that_has_gone_is_no_fault(flag: str) -> None:
    """`… | head` ends with 0 and says nothing, whether or not what is printed fills a buffer."""
    for name in ("cityscapes", "cocostuff164k"):
        reading, writing = os.pipe()
        os.close(reading)
        command = [sys.executable, "-m", "trainer.count", name, "--table", flag]
        done = subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, timeout=LIMIT_SECONDS, check=False
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, b"")


INTERRUPTED = """
import os
import signal
import sys
from trainer.count import main

if __name__ == "__mp_main__":
    os.kill(os.getpid(), signal.SIGINT)
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_reaches_a_counting_process_that_is_starting(root: Path, tmp_path: Path) -> None:
    """A terminal sends it to all of them: those that count leave it to their parent from the start."""
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    command = [sys.executable, script, root, "--processes", "2", "--data-dir", tmp_path, "--json"]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["images"] == 300


def test_rebalance_gives_back_its_exit_code(tmp_path: Path) -> None:
    """`rebalance frequencies` passes arguments on, and answers as `python -m trainer.count` does; also where
    the working directory has another `trainer`.
    """
    (tmp_path / "trainer.py").write_text("raise SystemExit(99)")
    for arguments in (["cityscapes", "--table", "--json"], ["camvid"]):
        command = [sys.executable, "-P", "-m", "service.cli", "frequencies", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False, cwd=tmp_path
        )
        own = run(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (own.returncode, own.stdout, own.stderr)
    assert own.returncode == 2
