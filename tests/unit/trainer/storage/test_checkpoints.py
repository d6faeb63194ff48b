"""Which checkpoints an experiment has, and which may go: found without torch."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from trainer.base.errors import CheckpointError
from trainer.storage.checkpoints import (
    Facts,
    KeptScore,
    drop_lesser,
    find_checkpoint,
    list_checkpoints,
    note_facts,
    prune,
    read_facts,
)
from trainer.storage.layout import Storage

HASH = "0" * 64


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.at(tmp_path)


def leave(storage: Storage, name: str, *, iteration: int, score: float | None, best: bool) -> None:
    """A file as torch writes it, of no tensors, with facts."""
    found = None if score is None else KeptScore(name="mIoU", value=score, mode="single_scale")
    with storage.checkpoints("e1").file(f"{name}.pth").writing() as stream:
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("archive/data.pkl", "x" * 1000)
        note_facts(stream, Facts(iteration=iteration, spec_hash=HASH, score=found, best=best))


def leave_some(storage: Storage, *, final_is_best: bool) -> None:
    leave(storage, "best", iteration=30, score=41.5, best=True)
    leave(storage, "final", iteration=50, score=42.0, best=final_is_best)
    for iteration in (9, 40, 50):
        storage.checkpoints("e1").file(f"iter_{iteration}.pth").write(b"1234")
    storage.checkpoints("e1").file("notes.txt").write("somebody's")


def names(storage: Storage) -> list[str]:
    return [each.name for each in list_checkpoints(storage, "e1")]


def test_the_list(storage: Storage) -> None:
    """Names, iterations, sizes and scores; those to resume from are sorted as numbers, newest first."""
    assert list_checkpoints(storage, "e1") == ()
    leave_some(storage, final_is_best=False)
    final, best, *resumed = list_checkpoints(storage, "e1")
    assert [each.name for each in resumed] == ["iter_50", "iter_40", "iter_9"]
    assert (resumed[0].iteration, resumed[0].bytes, resumed[0].score) == (50, 4, None)
    assert (best.iteration, best.best, best.file) == (30, True, "runs/e1/checkpoints/best.pth")
    assert (final.iteration, final.best, final.score and final.score.value) == (50, False, 42.0)
    assert final.bytes == storage.file(final.file).size()


def test_names_mean_files(storage: Storage) -> None:
    """`best`, `last` and iterations; one that is not there is told with those that are."""
    leave_some(storage, final_is_best=False)
    meant = {
        name: find_checkpoint(storage, "e1", name).name for name in ("final", "best", "last", 30, 40, 50)
    }
    assert meant == {
        "final": "final",
        "best": "best",
        "last": "iter_50",
        30: "best",
        40: "iter_40",
        50: "iter_50",
    }
    with pytest.raises(CheckpointError, match=r"no checkpoint 31; there are: final, best, iter_50"):
        find_checkpoint(storage, "e1", 31)
    with pytest.raises(CheckpointError, match="e2 has no checkpoint 'best'; there are: none"):
        find_checkpoint(storage, "e2", "best")


def test_a_better_end_takes_the_place_of_the_best(storage: Storage) -> None:
    """An earlier best is not seen beside a final one that beats it, killed before it was removed or not."""
    leave_some(storage, final_is_best=True)
    assert find_checkpoint(storage, "e1", "best").name == "final"
    assert "best" not in names(storage)
    drop_lesser(storage, "e1")
    assert not storage.file(storage.best_checkpoint("e1")).exists()
    assert find_checkpoint(storage, "e1", "best").name == "final"


def test_pruning(storage: Storage) -> None:
    """What is not named goes; what a running experiment resumes from and compares with stays."""
    leave_some(storage, final_is_best=False)
    gone = prune(storage, "e1", keep=("final",), running=True)
    assert [each.name for each in gone] == ["iter_9"]
    gone = prune(storage, "e1", keep=("final", "last", 7), running=False)
    assert [each.name for each in gone] == ["best", "iter_40"]
    assert names(storage) == ["final", "iter_50"]
    assert storage.checkpoints("e1").file("notes.txt").exists()
    prune(storage, "e1", keep=(), running=False)
    assert names(storage) == []


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no archive"])
def test_a_damaged_file_is_listed_without_facts(storage: Storage, content: bytes) -> None:
    """It takes room all the same, and may be pruned."""
    file = storage.file(storage.final_checkpoint("e1"))
    file.write(content)
    assert read_facts(file) is None
    (final,) = list_checkpoints(storage, "e1")
    assert (final.iteration, final.score, final.best) == (None, None, False)


def test_an_older_final_one_says_its_iteration(storage: Storage) -> None:
    """From before facts were kept: the last iteration of the newest plan that can be read."""
    storage.file(storage.final_checkpoint("e1")).write(b"x")
    storage.attempt("e1", 1).plan.write('{"spec": {"schedule": {"iterations": 80}}}')
    storage.attempt("e1", 2).plan.write('{"spec": ')
    assert find_checkpoint(storage, "e1", "final").iteration == 80


def test_it_loads_without_torch() -> None:
    """The service lists and prunes."""
    code = "import sys, trainer.storage.checkpoints; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
