"""What `python -m sweeps.job` refuses or says of a sweep's document, before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweeps.expand import expand
from sweeps.job import main, sweep_id
from sweeps.resolve import resolve_trials
from sweeps.spec import parse_sweep
from tests.data_factories import write_folder
from tests.factories import tiny_document
from trainer.errors import SpecError
from trainer.layout import Storage

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
    spec = Storage.at(tmp_path / "storage").sweep("s").spec
    spec.parent.mkdir(parents=True)
    spec.write_text(parse_sweep(BEGUN).model_dump_json())
    assert run(tmp_path, {**BEGUN, **changes}, "--sweep", "s") == (2 if pointers else 0)
    told = capsys.readouterr().err.splitlines()
    assert sorted(line.partition(":")[0] for line in told) == pointers


def test_variants_in_another_order_are_another_sweep(tmp_path: Path) -> None:
    """Trials are found by number: under the same id their results would change places."""
    begun = {**BEGUN, "variants": VARIANTS}
    turned = {**BEGUN, "variants": dict(reversed(VARIANTS.items()))}
    assert sweep_id(parse_sweep(begun)) != sweep_id(parse_sweep(turned))
    spec = Storage.at(tmp_path / "storage").sweep("s").spec
    spec.parent.mkdir(parents=True)
    spec.write_text(parse_sweep(begun).model_dump_json())
    assert run(tmp_path, begun, "--sweep", "s") == 0
    assert run(tmp_path, turned, "--sweep", "s") == 2


def test_a_document_that_nests_too_deeply_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and exit code 2, as for any other file that is no document."""
    assert run(tmp_path, "[" * 100_000) == 2
    assert capsys.readouterr().err.endswith("sweep.json: nested too deeply\n")


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
