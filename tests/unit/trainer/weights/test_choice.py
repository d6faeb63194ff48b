"""What `/weights` of a spec means, as the storage is: a file, none, or what is wrong and what to do."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.trainer.weights.files import published, saved
from trainer.base.errors import WeightsError
from trainer.run.reported import attempt_error
from trainer.storage.layout import Storage
from trainer.storage.weights import WeightsFolder, WeightsNote
from trainer.weights.choice import find_weights, weights_problems

CONTENT = saved()
LIST = {
    "tiny": published(CONTENT, "http://h/tiny.pth"),
    "unpublished": published(CONTENT, name="unpublished"),
}


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.at(tmp_path)


def keep(storage: Storage, name: str, layout: str = "mmseg") -> None:
    folder = WeightsFolder(storage)
    folder.file(name).write(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    folder.keep_note(name, WeightsNote(sha256=digest, size=len(CONTENT), layout=layout, source="a test"))


@pytest.mark.parametrize("of_model", ["tiny", "own", None])
def test_none_needs_nothing(of_model: str | None, storage: Storage) -> None:
    """Training begins from scratch, whatever the model has."""
    assert weights_problems("none", of_model, storage, LIST) == []
    assert find_weights("none", of_model, storage, LIST) is None


@pytest.mark.parametrize(("word", "of_model"), [("pretrained", "tiny"), ("tiny", None), ("tiny", "other")])
def test_what_lies_there_is_found(word: str, of_model: str | None, storage: Storage) -> None:
    """By the model's name, or by its own."""
    keep(storage, "tiny")
    assert weights_problems(word, of_model, storage, LIST) == []
    found = find_weights(word, of_model, storage, LIST)
    assert found is not None
    assert found.name == "tiny"


def test_a_file_of_ones_own(storage: Storage) -> None:
    """Whatever has been added may be named, whether it is in the list or not."""
    keep(storage, "mine")
    assert weights_problems("mine", "tiny", storage, LIST) == []


@pytest.mark.parametrize(
    ("word", "of_model", "words"),
    [
        ("pretrained", None, '/weights: "pretrained": no weights are known for this model; allowed: "none"'),
        (
            "pretrained",
            "tiny",
            "tiny is not in the storage; allowed: after `rebalance weights fetch tiny --storage ",
        ),
        ("tiny", None, "tiny is not in the storage"),
        ("unpublished", None, "after `rebalance weights add FILE --name unpublished --storage "),
        (
            "../../etc",
            None,
            '"../../etc" is not known; allowed: "pretrained"; a name of `rebalance weights list`',
        ),
        ("", None, '"" is not known'),
    ],
)
def test_what_is_not_there(word: str, of_model: str | None, words: str, storage: Storage) -> None:
    """One problem at /weights, with the command that mends it and what would train from scratch."""
    (problem,) = weights_problems(word, of_model, storage, LIST)
    assert words in str(problem)
    assert problem.pointer == "/weights"
    assert '"none", which trains from scratch' in problem.allowed
    with pytest.raises(WeightsError, match="/weights"):
        find_weights(word, of_model, storage, LIST)


def test_commands_find_the_storage_by_themselves_where_it_is_the_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere they are told where it is, in words that a shell takes."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (usual,) = weights_problems("tiny", None, Storage.at("~/.rebalance/storage"), LIST)
    assert "`rebalance weights fetch tiny`" in usual.allowed
    (other,) = weights_problems("tiny", None, Storage.at(tmp_path / "a b"), LIST)
    assert f"`rebalance weights fetch tiny --storage '{tmp_path}/a b'`" in other.allowed


def test_a_part_and_a_file_put_there_by_hand(storage: Storage) -> None:
    """Neither is begun from: what is left to do is told."""
    folder = WeightsFolder(storage)
    folder.folder.file("tiny.part").write(CONTENT[:9])
    (problem,) = weights_problems("tiny", None, storage, LIST)
    assert "arrived in part only (9 bytes)" in problem.got
    folder.file("tiny").write(CONTENT)
    (problem,) = weights_problems("tiny", None, storage, LIST)
    assert "rebalance weights verify tiny" in problem.allowed


def test_a_job_reads_what_it_begins_from(storage: Storage) -> None:
    """A POST looks at the size only: what was changed since is found out when the job starts."""
    keep(storage, "tiny")
    WeightsFolder(storage).file("tiny").write(CONTENT[:-1] + b"x")
    assert weights_problems("tiny", None, storage, LIST) == []
    with pytest.raises(WeightsError, match="tiny has changed since it was checked"):
        find_weights("tiny", None, storage, LIST)


def test_a_layout_that_nobody_converts(storage: Storage) -> None:
    """Known before the job starts."""
    keep(storage, "mine", layout="jax")
    (problem,) = weights_problems("mine", None, storage, LIST)
    assert "layout jax, which is not converted" in problem.got


def test_a_request_is_judged_without_torch() -> None:
    """The service, which has none, imports this."""
    code = "import trainer.weights.choice, trainer.weights.take, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "mmseg", "numpy", "ray"} & set(loaded.stdout.split())


def test_missing_weights_end_without_another_try() -> None:
    """They would be as absent in the next attempt."""
    assert not attempt_error(WeightsError("resnet50_v1c is not in the storage")).retryable
