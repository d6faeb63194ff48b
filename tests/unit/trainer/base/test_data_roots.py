"""Data roots by name: how they are written, what a spec's `data:NAME` is, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweeps.document.expand import expand
from sweeps.document.resolve import resolve_trials
from sweeps.document.spec import parse_sweep
from tests.data_factories import make_spec, make_task, spec_document, write_folder
from trainer.base.data_roots import NamedRoot, names_in, parse_root, parse_roots, place_of, told_place
from trainer.base.errors import DataError, SpecError
from trainer.data.folders import resolve_spec
from trainer.plan import make_plan
from trainer.spec.spec import ExperimentSpec, spec_hash

_SCHEDULE = {"crop_size": [32, 48]}


def named_spec(root: str) -> ExperimentSpec:
    return make_spec(dataset={"name": "folder", "root": root}, schedule=_SCHEDULE)


@pytest.fixture
def mine(tmp_path: Path) -> NamedRoot:
    write_folder(tmp_path / "pictures/good")
    return NamedRoot("mine", tmp_path / "pictures")


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("/data", Path("/data")),
        ("ade20k=/data/ade", NamedRoot("ade20k", Path("/data/ade"))),
        ("a=/data/x=y", NamedRoot("a", Path("/data/x=y"))),
        ("./a=b", Path("a=b")),
        ("/x/a=b", Path("/x/a=b")),
    ],
)
def test_how_a_root_is_written(text: str, root: Path | NamedRoot) -> None:
    """DIR or NAME=DIR; a slash before the `=` makes it a directory's own."""
    assert parse_root(text) == root


@pytest.mark.parametrize(
    "text", ["a b=/x", "=/x", ".=/x", "..=x", "a=", f"{'n' * 65}=/x", '{"a": 1}', '{"a/b": "/x"}']
)
def test_no_root(text: str) -> None:
    """What is neither is told, with what is allowed."""
    with pytest.raises(ValueError, match="allowed"):
        parse_roots(text)


def test_the_variable() -> None:
    """A path list, a JSON list and a JSON object say the same."""
    wanted = (NamedRoot("a", Path("/x")), NamedRoot("b", Path("/y")))
    texts = ("a=/x:b=/y", json.dumps(["a=/x", "b=/y"]), json.dumps({"a": "/x", "b": "/y"}))
    assert {parse_roots(text) for text in texts} == {wanted}


def test_a_spec_by_name_runs_where_the_name_leads(mine: NamedRoot, tmp_path: Path) -> None:
    """It is kept as it is, hash included; the plan has the directory of this deployment."""
    spec = named_spec("data:mine/good")
    assert resolve_spec(spec, data_roots=[mine]) == spec
    task = make_task(spec, tmp_path / "storage", data_roots=names_in([mine]))
    plan = make_plan(task, print)
    assert plan.data.root == str(tmp_path / "pictures/good")
    assert plan.spec_hash == spec_hash(spec)
    (tmp_path / "pictures").rename(tmp_path / "moved")
    moved = NamedRoot("mine", tmp_path / "moved")
    again = make_plan(make_task(spec, tmp_path / "storage", data_roots=names_in([moved])), print)
    assert again.data.root == str(tmp_path / "moved/good")
    assert again.spec_hash == plan.spec_hash


@pytest.mark.parametrize(
    "root",
    ["data:mine/../x", "data:..", "data:mine/./good", "data:mine//good", "data:mine/", "data:", "data:/etc"],
)
def test_no_way_out(root: str, mine: NamedRoot) -> None:
    """Dots and empty parts are refused by what they are, not by where they would lead."""
    with pytest.raises(SpecError, match=r"/dataset/root: .* is refused; allowed: data:NAME"):
        resolve_spec(named_spec(root), data_roots=[mine])


def test_a_link_to_outside(mine: NamedRoot, tmp_path: Path) -> None:
    """A name opens no more than its directory does."""
    write_folder(tmp_path / "secret")
    (tmp_path / "pictures/link").symlink_to(tmp_path / "secret")
    with pytest.raises(SpecError, match="outside the allowed data roots"):
        resolve_spec(named_spec("data:mine/link"), data_roots=[mine])


@pytest.mark.parametrize(
    ("roots", "told"), [([], "--data-root NAME=DIR"), (["a=/x", "b=/y"], "allowed: data:a, data:b")]
)
def test_a_name_that_is_none(roots: list[str], told: str) -> None:
    """Told with the names that there are."""
    with pytest.raises(SpecError, match="no data root has that name") as refused:
        resolve_spec(named_spec("data:mine"), data_roots=[parse_root(each) for each in roots])
    assert told in str(refused.value)


def test_a_directory_may_be_called_so() -> None:
    """A slash says that it is a path."""
    assert place_of("./data:x", {}) == Path("data:x")


def test_the_trials_of_a_sweep(mine: NamedRoot) -> None:
    """They keep the name, and the metric is judged by the classes that lie there."""
    base = spec_document(dataset={"name": "folder", "root": "data:mine/good"}, schedule=_SCHEDULE)
    sweep = parse_sweep({"base": base, "seeds": [0, 1], "metric": "head_mIoU"})
    trials = resolve_trials(sweep, expand(sweep), data_roots=[mine])
    assert [trial.spec.dataset.root for trial in trials] == ["data:mine/good"] * 2  # type: ignore[union-attr]


def test_on_a_command_line(tmp_path: Path) -> None:
    """--data-root goes before the variable; a path is left alone."""
    root = Path("data:a/b")
    assert told_place(root, ["a=/x"], "a=/y") == Path("/x/b")
    assert told_place(root, None, "a=/y") == Path("/y/b")
    assert told_place(tmp_path, None, "=") == tmp_path
    for flags, variable, told in (
        (["="], "", "--data-root"),
        (None, "=", "REBALANCE_DATA_ROOTS"),
        ([], "", "--root"),
    ):
        with pytest.raises(DataError, match=told):
            told_place(root, flags, variable)
