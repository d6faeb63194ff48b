"""What `python -m sweeps.job` refuses or says of a sweep's document, before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweeps.document.expand import expand
from sweeps.document.resolve import resolve_trials
from sweeps.document.spec import parse_sweep
from sweeps.job import main, sweep_id
from tests.data_factories import spec_document, write_folder
from tests.factories import tiny_document
from trainer.base.errors import SpecError
from trainer.job import main as train
from trainer.storage.layout import Storage

RR = tiny_document(method="region_rebalance")
CHOICE = {"pointer": "/method/lambda", "choice": [0.1, 0.2]}


def run(tmp_path: Path, document: Any, *flags: str) -> int:
    """The job's exit code; the document may be text."""
    path = tmp_path / "sweep.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return main(["--spec", str(path), "--storage", str(tmp_path / "storage"), "--list", *flags])


BEGUN: dict[str, Any] = {"base": RR, "name": "a", "tags": {"a": "1"}, "seeds": [0, 1]}
VARIANTS = {"ours": {"kind": "region_rebalance"}, "baseline": {"kind": "baseline"}}


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"name": "b", "limits": {"seconds": 5, "gpu_hours": 1, "concurrent_trials": 2}}, []),
        ({"tags": {"a": "2"}}, ["/tags"]),
        ({"seeds": [0], "metric": "aAcc"}, ["/metric", "/seeds"]),
        ({"limits": {"trials": 5}}, ["/limits/trials"]),
    ],
)
def test_what_may_change_when_a_sweep_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], pointers: list[str]
) -> None:
    """Its name and limits; what is a part of its trials, as tags are, is named and refused."""
    spec = Storage.at(tmp_path / "storage").sweep("s").spec.local
    spec.parent.mkdir(parents=True)
    spec.write_text(parse_sweep(BEGUN).model_dump_json())
    assert run(tmp_path, {**BEGUN, **changes}, "--sweep", "s") == (2 if pointers else 0)
    told = capsys.readouterr().err.splitlines()
    assert sorted(line.partition(":")[0] for line in told) == pointers


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--cpu",), "--cpu: is of a --preset"),
        (("--rows", "x", "--seeds", "2"), "--seeds: is of a --preset"),
        (("--set", "/schedule/iterations=1"), "--set: is of a --preset"),
        (("--dataset", "{}"), "--dataset: is of a --preset"),
    ],
)
def test_a_documents_sweep_takes_no_options_of_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], told: str
) -> None:
    """They would change nothing, and nobody would be told."""
    assert run(tmp_path, {"base": RR}, *flags) == 2
    assert told in capsys.readouterr().err


def test_a_tables_data_set_is_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--preset", "table5", "--storage", str(tmp_path), "--list"]
    assert main([*asked, "--dataset", "{root"]) == 2
    assert capsys.readouterr().err.startswith("--dataset: not JSON")


def test_variants_in_another_order_are_another_sweep(tmp_path: Path) -> None:
    """Trials are found by number: under the same id their results would change places."""
    begun = {**BEGUN, "variants": VARIANTS}
    turned = {**BEGUN, "variants": dict(reversed(VARIANTS.items()))}
    assert sweep_id(parse_sweep(begun)) != sweep_id(parse_sweep(turned))
    spec = Storage.at(tmp_path / "storage").sweep("s").spec.local
    spec.parent.mkdir(parents=True)
    spec.write_text(parse_sweep(begun).model_dump_json())
    assert run(tmp_path, begun, "--sweep", "s") == 0
    assert run(tmp_path, turned, "--sweep", "s") == 2


def test_a_document_that_nests_too_deeply_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and exit code 2, as for any other file that is no document."""
    assert run(tmp_path, "[" * 100_000) == 2
    assert capsys.readouterr().err.endswith("sweep.json: nested too deeply; allowed: 32 levels\n")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b'{"base": {}, "seeds": [0], "seeds": [1]}', 'the key "seeds" is given twice in one object'),
        (b'{"name": "\xff"}', "not UTF-8: byte 10 is 0xff"),
        (b'{"name": }', "not JSON: expecting value at line 1, column 10"),
        (b"", "the document is empty; a JSON object is expected"),
    ],
)
def test_bytes_that_are_no_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: bytes, said: str
) -> None:
    """One line that names the file, from both jobs: as the service reads a request."""
    path = tmp_path / "s.json"
    path.write_bytes(document)
    for job in (main, train):
        assert job(["--spec", str(path), "--storage", str(tmp_path / "storage")]) == 2
        assert capsys.readouterr().err == f"{path}: {said}\n"


@pytest.mark.parametrize("job", ["sweep", "experiment"])
@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--attempt", "-3"),
        ("--attempt", "0"),
        ("--attempt", "x"),
        ("id", "../../x y"),
        ("id", ".."),
        ("id", "a/b"),
        ("id", ""),
        ("id", "a" * 65),
        ("id", "a\n"),
    ],
)
def test_flags_that_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], job: str, flag: str, value: str
) -> None:
    """Ids name a directory inside the storage, and attempts count from 1: told before anything is read."""
    name = f"--{job}" if flag == "id" else flag
    with pytest.raises(SystemExit) as caught:
        (main if job == "sweep" else train)(["--spec", "nowhere", f"{name}={value}"])
    assert caught.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {name}: {value!r} is refused; allowed: " in last
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("below", "why"), [("", "is not a directory"), ("/x", "cannot be made: Not a dir")])
def test_storage_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], below: str, why: str
) -> None:
    """One line and exit code 2, from both jobs, also from who would leave a report there."""
    taken, gone = tmp_path / "file", spec_document(dataset={"name": "folder", "root": str(tmp_path / "gone")})
    taken.touch()
    for job, flag, bad in (
        (main, "--sweep=s", {"base": gone}),
        (main, "--sweep=s", {"base": RR}),
        (train, "--experiment=e", gone),
        (train, "--experiment=e", RR),
        (train, "--plan-only", RR),
    ):
        (tmp_path / "s.json").write_text(json.dumps(bad))
        arguments = ["--spec", str(tmp_path / "s.json"), "--storage", f"{taken}{below}", flag, "--attempt=2"]
        with pytest.raises(SystemExit) as caught:
            job(arguments)
        assert caught.value.code == 2
        assert capsys.readouterr().err.splitlines()[-1].startswith(f"--storage: {taken}{below}: {why}")


def test_storage_at_nobodys_home(capsys: pytest.CaptureFixture[str]) -> None:
    """A home directory that there is not is told as the rest is."""
    for job in (main, train):
        with pytest.raises(SystemExit) as caught:
            job(["--spec", "nowhere", "--storage", "~nobody-of-this-name/x"])
        assert caught.value.code == 2
        assert capsys.readouterr().err.startswith("--storage: ~nobody-of-this-name/x: ")


def test_a_listing_needs_no_storage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--list writes nothing: with a storage that cannot be there, nothing has been measured."""
    taken = tmp_path / "file"
    taken.touch()
    assert run(tmp_path, {"base": RR}, "--storage", str(taken)) == 0
    assert "nothing like it has been measured" in capsys.readouterr().out


@pytest.mark.parametrize(("asked", "told"), [(2, False), (9, True)])
def test_fewer_draws_than_asked_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: int, told: bool
) -> None:
    """Two choices are two trials, however many draws were asked for; --list says so."""
    document = {"base": RR, "axes": [CHOICE], "search": "random", "limits": {"trials": asked}}
    assert run(tmp_path, document) == 0
    out = capsys.readouterr().out
    assert ": 2 trials" in out
    assert ("2 draws, not 9: the axes have no more settings" in out) == told


def test_a_metric_that_is_never_reported(tmp_path: Path) -> None:
    """Two classes leave no tail, and shares may leave no body: told of the trial, before anything runs."""
    two = write_folder(tmp_path / "two", classes=["a", "b"])
    sets = {"pointer": "/dataset", "grid": ["digit_scenes", {"name": "folder", "root": str(two)}]}
    narrow = {"pointer": "/evaluation/group_boundaries", "grid": [None, [0.5, 0.501]]}
    for metric, fields, got in (
        ("tail_mIoU", {"axes": [sets]}, "of its data set's 2"),
        ("body_mIoU", {"axes": [narrow]}, "of its data set's 11"),
    ):
        base = {**RR, "schedule": {**RR["schedule"], "crop_size": [32, 32]}}
        sweep = parse_sweep({"base": base, "metric": metric, **fields})
        with pytest.raises(SpecError) as caught:
            resolve_trials(sweep, expand(sweep), data_roots=[tmp_path])
        (problem,) = caught.value.problems
        assert problem.pointer == "/metric"
        assert problem.got.startswith("trial 1 (")
        assert got in problem.got
        fine = sweep.model_copy(update={"metric": "head_mIoU"})
        assert len(resolve_trials(fine, expand(fine), data_roots=[tmp_path])) == 2
