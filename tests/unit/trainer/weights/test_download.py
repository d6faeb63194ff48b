"""Fetching, from a server that breaks off, lies, stalls, moves things or gives something else."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.unit.trainer.weights.file_server import (
    FileServer,
    Step,
    cut,
    page,
    redirect,
    serving,
    stall,
    status,
    whole,
)
from tests.unit.trainer.weights.files import published, saved
from trainer.base.errors import DiskFull, WeightsError
from trainer.spec.catalogue.weights_list import PretrainedWeights
from trainer.storage.layout import Storage
from trainer.storage.weights import StoredWeights, WeightsFolder
from trainer.weights.download import Patience
from trainer.weights.take import fetch

CONTENT = saved()
HALF = len(CONTENT) // 2
URL = "/tiny-0000.pth"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as server:
        server.files[URL] = CONTENT
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> WeightsFolder:
    return WeightsFolder(Storage.at(tmp_path))


def take(weights: PretrainedWeights, folder: WeightsFolder, *, silence: float = 20.0) -> StoredWeights:
    """`fetch` without pauses."""
    patience = Patience(silence=silence, wait=lambda _: None)
    return fetch(weights, folder, advance=lambda *_: None, say=lambda _: None, patience=patience)


def arrived(folder: WeightsFolder, content: bytes, origin: str = "") -> None:
    """Leaves a part as a download does that broke off."""
    folder.folder.file("tiny.part").write(content)
    if origin:
        folder.folder.file("tiny.part.json").write(origin)


def is_whole(folder: WeightsFolder) -> bool:
    return folder.file("tiny").read_bytes() == CONTENT and folder.folder.names() == ["tiny.json", "tiny.pth"]


def test_a_file_is_fetched_once(server: FileServer, folder: WeightsFolder) -> None:
    """It lies there under its name with what was found; the second call asks nobody."""
    weights = published(CONTENT, server.url(URL))
    stored = take(weights, folder)
    assert is_whole(folder)
    assert (stored.note.sha256, stored.note.size) == (hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    assert stored.note.source == server.url(URL)
    assert take(weights, folder) == stored == folder.find("tiny")
    assert server.seen == [(URL, None)]


def test_progress_is_told(server: FileServer, folder: WeightsFolder) -> None:
    """Bytes that are here and bytes in all, up to the end; and which address is asked."""
    told: list[tuple[int, int | None]] = []
    said: list[str] = []
    weights = published(CONTENT, server.url(URL))
    fetch(weights, folder, advance=lambda *each: told.append(each), say=said.append)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert said == [f"tiny: {server.url(URL)}"]


@pytest.mark.parametrize("steps", [[cut(HALF)], [cut(HALF), status(503)], [stall(HALF)], [cut(0), cut(HALF)]])
def test_a_download_that_breaks_off_goes_on(
    steps: list[Step], server: FileServer, folder: WeightsFolder
) -> None:
    """Cut, stalled or turned away for a while: the rest is asked for, and nothing twice."""
    server.steps[URL] = list(steps)
    take(published(CONTENT, server.url(URL)), folder, silence=0.3)
    assert is_whole(folder)
    assert server.seen[-1] == (URL, f"bytes={HALF}-")


@pytest.mark.parametrize("pinned", [True, False])
def test_the_next_call_goes_on(pinned: bool, server: FileServer, folder: WeightsFolder) -> None:
    """With the part of a call that failed: by the hash, or by the server's word that it is the same file."""
    server.tags[URL] = '"one"'
    weights = published(CONTENT, server.url(URL), pinned=pinned)
    server.steps[URL] = [cut(HALF), *[status(503)] * 4]
    with pytest.raises(WeightsError, match="answered 503"):
        take(weights, folder)
    assert (folder.arrived("tiny"), folder.find("tiny")) == (HALF, None)
    server.steps[URL] = []
    take(weights, folder)
    assert is_whole(folder)
    assert server.seen[-1] == (URL, f"bytes={HALF}-")


def test_a_file_that_has_changed_is_begun_again(server: FileServer, folder: WeightsFolder) -> None:
    """No hash is known, and the server has another file than the one that the part is of."""
    server.tags[URL] = '"two"'
    arrived(folder, b"x" * HALF, f'{{"url": "{server.url(URL)}", "validator": "\\"one\\""}}')
    take(published(CONTENT, server.url(URL), pinned=False), folder)
    assert is_whole(folder)


def test_a_part_of_unknown_origin_is_not_believed(server: FileServer, folder: WeightsFolder) -> None:
    """Without a hash to judge the whole by, only what the server calls the same file is gone on with."""
    arrived(folder, b"x" * HALF)
    take(published(CONTENT, server.url(URL), pinned=False), folder)
    assert is_whole(folder)
    assert server.seen == [(URL, None)]


def test_a_part_of_something_else_is_found_out(server: FileServer, folder: WeightsFolder) -> None:
    """The hash is wrong at the end: the same address is asked for all of it, once."""
    arrived(folder, b"x" * HALF)
    take(published(CONTENT, server.url(URL)), folder)
    assert is_whole(folder)
    assert server.seen == [(URL, f"bytes={HALF}-"), (URL, None)]


@pytest.mark.parametrize("surplus", [b"", b"more"])
def test_a_part_that_is_all_of_it(surplus: bytes, server: FileServer, folder: WeightsFolder) -> None:
    """Killed after the last byte, nothing is left to receive; a longer one is begun again."""
    arrived(folder, CONTENT + surplus)
    take(published(CONTENT, server.url(URL)), folder)
    assert is_whole(folder)
    assert len(server.seen) == (2 if surplus else 1)


def test_a_server_without_ranges(server: FileServer, folder: WeightsFolder) -> None:
    """It gives all of it again, which replaces the part."""
    server.steps[URL] = [cut(HALF), whole]
    take(published(CONTENT, server.url(URL)), folder)
    assert is_whole(folder)


@pytest.mark.parametrize("step", [status(404), status(403), page, redirect("ftp://127.0.0.1/x"), cut(0)])
def test_the_next_address_is_tried(step: Step, server: FileServer, folder: WeightsFolder) -> None:
    """Missing, refused, a web page, a redirect that is not followed, nothing but broken connections."""
    server.steps["/other.pth"] = [step] * 4
    server.files["/other.pth"] = CONTENT
    take(published(CONTENT, server.url("/other.pth"), server.url(URL)), folder)
    assert is_whole(folder)


def test_redirects_are_followed(server: FileServer, folder: WeightsFolder) -> None:
    """With the part that is asked for."""
    arrived(folder, CONTENT[:HALF])
    server.steps["/old.pth"] = [redirect(server.url(URL))]
    take(published(CONTENT, server.url("/old.pth")), folder)
    assert server.seen == [("/old.pth", f"bytes={HALF}-"), (URL, f"bytes={HALF}-")]
    assert is_whole(folder)


def test_a_proxy_is_asked(server: FileServer, folder: WeightsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that the environment names, for an address that only it can reach."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url(""))
    url = "http://weights.invalid/tiny.pth"
    server.files[url] = CONTENT
    take(published(CONTENT, url), folder)
    assert is_whole(folder)


def test_another_file_is_deleted(server: FileServer, folder: WeightsFolder) -> None:
    """A wrong SHA-256: both digests are told, of every address, and nothing of it stays."""
    other = saved({"x": torch.zeros(3)})
    server.files |= {URL: other, "/2": other}
    wrong = hashlib.sha256(other).hexdigest()[:16]
    weights = published(CONTENT, server.url(URL), server.url("/2"))
    with pytest.raises(WeightsError, match=f"{wrong}….*{weights.sha256}….*/2 gave"):
        take(weights, folder)
    assert folder.folder.names() == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>no such bucket</html>", "is a page of text"),
        (CONTENT[:-40], "is cut short or damaged"),
        (b"\x00" * 500, "no file that torch has written"),
    ],
)
def test_without_a_hash_the_structure_is_judged(
    content: bytes, words: str, server: FileServer, folder: WeightsFolder
) -> None:
    """What is no file of tensors is deleted, and said to be that."""
    server.files[URL] = content
    with pytest.raises(WeightsError, match=words):
        take(published(CONTENT, server.url(URL), pinned=False), folder)
    assert folder.folder.names() == []


def test_nobody_answers(folder: WeightsFolder) -> None:
    """The address and the system's word, after a few tries; no part is left."""
    waits: list[float] = []
    with serving() as server:
        url = server.url(URL)
    with pytest.raises(WeightsError, match=f"{url} Connection refused"):
        fetch(
            published(CONTENT, url),
            folder,
            advance=lambda *_: None,
            say=lambda _: None,
            patience=Patience(1.0, waits.append),
        )
    assert waits == [2.0, 4.0]
    assert folder.folder.names() == []


def test_one_process_at_a_time(server: FileServer, folder: WeightsFolder) -> None:
    """The second is told so, and the first goes on undisturbed."""
    with folder.receiving("tiny") as part:
        part.append(CONTENT[:HALF])
        with pytest.raises(WeightsError, match="by another process"):
            take(published(CONTENT, server.url(URL)), folder)
        assert part.local.read_bytes() == CONTENT[:HALF]


def test_a_full_disk_keeps_nothing(folder: WeightsFolder) -> None:
    """The part that filled it does not go on filling it."""

    def receive() -> None:
        with folder.receiving("tiny") as part:
            part.append(b"some")
            raise DiskFull("there")

    with pytest.raises(DiskFull):
        receive()
    assert folder.folder.names() == []


_FETCH = """
import sys
from pathlib import Path
from trainer.spec.catalogue.weights_list import PretrainedWeights
from trainer.storage.layout import Storage
from trainer.storage.weights import WeightsFolder
from trainer.weights.take import fetch
weights = PretrainedWeights("tiny", (sys.argv[1],), sys.argv[2], "mmseg", "a test")
fetch(weights, WeightsFolder(Storage.at(sys.argv[3])), advance=lambda *_: None, say=print)
"""


def test_killed_in_mid_download(server: FileServer, folder: WeightsFolder, tmp_path: Path) -> None:
    """What had arrived is gone on with by the next process, and nobody is locked out."""
    weights = published(CONTENT, server.url(URL))
    server.steps[URL] = [stall(HALF)]
    command = [sys.executable, "-c", _FETCH, server.url(URL), str(weights.sha256), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + 60
        while folder.arrived("tiny") < HALF:
            assert process.poll() is None
            assert time.monotonic() < end
        process.kill()
    assert folder.find("tiny") is None
    take(weights, folder)
    assert is_whole(folder)
    assert server.seen[-1] == (URL, f"bytes={HALF}-")
