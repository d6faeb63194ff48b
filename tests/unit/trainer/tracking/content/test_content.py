"""What is told to MLflow, made from specs and run directories: groups, data sets, gains, models, pictures."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.data_factories import make_report, make_spec, scores_of, write_folder
from trainer.data.prepare import prepare
from trainer.results.report import write_report
from trainer.results.shown_file import ShownPicture, write_shown
from trainer.storage.layout import Storage
from trainer.storage.reference import read_reference, write_reference
from trainer.tracking.content.datasets import datasets_of, scored_dataset, source_of
from trainer.tracking.content.deltas import deltas_of
from trainer.tracking.content.groups import group_of
from trainer.tracking.content.overlays import overlays_of
from trainer.tracking.content.trained import trained_model
from trainer.tracking.content.views import parameter_of


def folder_spec(root: str, **changes: Any) -> Any:
    return make_spec(dataset={"name": "folder", "root": root, **changes})


def test_a_folder_has_a_group_of_its_own() -> None:
    """By its root: two that end alike are two; one by name is the same wherever it lies."""
    roots = ("/data/city", "/other/city", "data:city", "data:city/sub", "/")
    groups = [group_of(folder_spec(root).dataset) for root in roots]
    assert len(set(groups)) == len(roots)
    assert groups[0].startswith("folder city-")
    assert groups[2:4] == ["folder data:city", "folder data:city/sub"]
    assert group_of(folder_spec("/data/city", scale=0.5).dataset) == groups[0]
    assert group_of(make_spec().dataset) == "digit_scenes"
    assert len(group_of(folder_spec("/" + "x" * 4000).dataset)) < 500  # MLflow's limit


def test_a_data_set_is_known_by_its_counts() -> None:
    """Runs on the same labels name one data set; with other labels it is another, of the same name."""
    spec, report = folder_spec("data:city", eval_split="test"), make_report()
    assert report.result is not None
    train, scored = datasets_of(spec, report.result)
    assert (train.name, train.context) == ("city-train", "training")
    assert (scored.name, scored.context) == ("city-test", "evaluation")
    assert json.loads(scored.source) == {"uri": "data:city"}
    assert json.loads(scored.profile)["pixels"] == {"class 0": 10, "class 1": 6, "class 2": 4}
    assert set(json.loads(scored.schema)["mlflow_tensorspec"]) == {"features", "targets"}
    again = scored_dataset("city-test", scores_of([[9, 1, 0], [0, 6, 0], [1, 1, 2]]), source_of(spec.dataset))
    assert again.digest == scored.digest  # as many pixels of each class, whatever was predicted for them
    other = scored_dataset("city-test", scores_of([[9, 2, 0], [0, 6, 0], [1, 1, 2]]), source_of(spec.dataset))
    assert other.digest != scored.digest


def test_a_gain_is_the_difference_to_the_reference(tmp_path: Path) -> None:
    """By score, in points; nothing before the reference has a result, nor where other labels were scored."""
    storage = Storage.at(tmp_path)
    ours = make_report("b", scores=scores_of([[10, 0, 0], [0, 6, 0], [0, 0, 4]]))
    assert ours.result is not None
    assert deltas_of(storage, "b", ours.result) == {}
    write_reference(storage.reference("b"), "a")
    write_reference(storage.reference("b"), "another")
    assert read_reference(storage.reference("b")) == "a"
    assert deltas_of(storage, "b", ours.result) == {}
    theirs = make_report("a")
    write_report(theirs, storage.attempt("a", 1).report)
    found = deltas_of(storage, "b", ours.result)
    assert theirs.result is not None
    mine, other = ours.result.evaluation["single_scale"], theirs.result.evaluation["single_scale"]
    assert mine.mIoU is not None
    assert other.mIoU is not None
    assert found["delta_mIoU"] == mine.mIoU - other.mIoU
    assert {"delta_tail_mIoU", "delta_aAcc"} <= found.keys()
    write_report(
        make_report("a", scores=scores_of([[9, 0, 0], [0, 6, 0], [0, 0, 4]])), storage.attempt("a", 1).report
    )
    assert deltas_of(storage, "b", ours.result) == {}


def test_a_model_has_a_name_that_mlflow_takes() -> None:
    """The run's; another checkpoint's says so. The words that tell models apart go along."""
    spec = make_spec(name='a/b: lambda=0.1 50% "x"', method={"kind": "region_rebalance", "lambda": 0.1})
    params = {"method.kind": "region_rebalance", "schedule.batch_size": "8", "seed": "0"}
    made = trained_model(spec, "e1", params)
    assert made.name == "a_b_ lambda=0·1 50_ _x_"
    assert made.params == {"method.kind": "region_rebalance", "seed": "0"}
    assert trained_model(spec, "e1", {}, 500).name.endswith(", 500")


def test_a_pointer_is_a_parameter() -> None:
    """As the run has it."""
    assert parameter_of("/method/lambda") == "method.lambda"


def shown_attempt(tmp_path: Path, size: tuple[int, int] = (32, 48)) -> Storage:
    """An attempt on a folder whose only scored picture is shown, labelled in `size`."""
    root, storage = write_folder(tmp_path / "data"), Storage.at(tmp_path / "storage")
    data = prepare(folder_spec(str(root)).dataset, storage, lambda _: None)
    attempt = storage.attempt("e", 1)
    plan = {"root": data.root, "eval_split": "val", "classes": list(data.classes), "palette": None}
    attempt.plan.write(json.dumps({"data": plan}))
    [picture] = sorted((root / "images" / "val").iterdir())
    labels = np.zeros(size, np.uint8)
    write_shown(attempt.shown, [ShownPicture(picture.name, labels, labels)])
    return storage


def test_a_shown_picture_is_drawn(tmp_path: Path) -> None:
    """Under a key that any run has, as a picture and as a small one."""
    [drawn] = overlays_of(shown_attempt(tmp_path).attempt("e", 1))
    assert drawn.key == "overlays/1"
    for content, kind in ((drawn.png, "PNG"), (drawn.small, "WEBP")):
        with Image.open(BytesIO(content)) as picture:
            assert picture.format == kind
            assert picture.width > 2 * 48


@pytest.mark.parametrize("trouble", ["gone", "another size", "damaged", "no plan"])
def test_what_cannot_be_shown_is_left_out(tmp_path: Path, trouble: str) -> None:
    """The scores are sent all the same."""
    storage = shown_attempt(tmp_path, (5, 5) if trouble == "another size" else (32, 48))
    attempt = storage.attempt("e", 1)
    if trouble == "gone":
        for path in (tmp_path / "data" / "images" / "val").iterdir():
            path.unlink()
    elif trouble == "damaged":
        attempt.shown.write(b"PK")
    elif trouble == "no plan":
        attempt.plan.delete()
    assert list(overlays_of(attempt)) == []
