"""A kept checkpoint scored again, in this process, without Ray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.unit.trainer.followups.trained import CLASSES, write_data
from trainer.base.errors import DataError, ReportError, SpecError
from trainer.followups.prepare import make_followup_plan
from trainer.followups.task import FollowupPlan, FollowupTask
from trainer.followups.worker import work
from trainer.plan import Plan
from trainer.results.confusion_file import read_confusion
from trainer.results.followup import EvaluationResult
from trainer.spec.followups import parse_followup

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning:mmseg.*", "ignore:torch.meshgrid.*:UserWarning"),
]
RENAMED = ("heaven", "street", "auto", "tree")


def planned(trained: Plan, followup: str, **request: Any) -> FollowupPlan:
    task = FollowupTask(
        experiment=trained.experiment,
        followup=followup,
        attempt=1,
        request=parse_followup(request),
        storage=trained.storage,
    )
    return make_followup_plan(task, data_roots=None, say=lambda _: None)


def evaluated(plan: FollowupPlan) -> EvaluationResult:
    return EvaluationResult.model_validate(work(plan.model_dump_json()))


def test_the_same_scores_as_in_training(plans: tuple[Plan, Plan]) -> None:
    """In every mode that is asked for; the counts are kept beside, and add up to the report's."""
    modes = ["single_scale", {"name": "mirrored", "flip": True}]
    plan = planned(plans[0], "again", kind="evaluation", modes=modes)
    result = evaluated(plan)
    assert list(result.evaluation) == ["single_scale", "mirrored"]
    assert (result.dataset, result.eval_images, result.iteration) == ("blocks-val", 3, 6)
    kept = read_confusion(plan.dir.confusion)
    assert kept.classes == CLASSES
    counts = kept.modes["single_scale"]
    assert counts.names == ("p0", "p1", "p2")
    assert [row.tp for row in result.evaluation["single_scale"].classes] == counts.tp.sum(axis=0).tolist()
    assert counts.confusion.sum() == 3 * 48 * 63, "each valid pixel once"
    first = next(iter(result.evaluation.values()))
    assert [row.pixel_frequency for row in first.classes] == list(plans[0].frequencies.pixel)


def test_another_data_set_by_a_class_map(plans: tuple[Plan, Plan], tmp_path: Path) -> None:
    """Its split alone is looked at; classes by name, whatever their ids; what is mapped to null is void."""
    root = write_data(tmp_path / "others", splits={"test": 2}, classes=RENAMED)
    dataset = {"name": "folder", "root": str(root), "eval_split": "test"}
    names = {"heaven": "sky", "street": None, "auto": "car", "tree": "car"}
    plan = planned(plans[0], "map", kind="evaluation", dataset=dataset, class_map=names)
    result = evaluated(plan)
    assert result.dataset.startswith("others-test-map-")
    road = CLASSES.index("road")
    masks = [np.asarray(Image.open(path)) for path in sorted((root / "annotations" / "test").iterdir())]
    sky_and_car = sum(int(((mask != road) & (mask != 255)).sum()) for mask in masks)
    rows = result.evaluation["single_scale"].classes
    assert sum(row.tp + row.fn for row in rows) == sky_and_car
    assert rows[road].tp + rows[road].fn == 0


def test_data_of_other_classes_are_refused(plans: tuple[Plan, Plan], tmp_path: Path) -> None:
    """Before anything is counted, by the names that differ; a mask with other ids by its name."""
    root = write_data(tmp_path / "others", splits={"test": 2}, classes=RENAMED[:3])
    dataset = {"name": "folder", "root": str(root), "eval_split": "test"}
    with pytest.raises(SpecError, match="lacks sky, road, car and has heaven, street, auto"):
        planned(plans[0], "no", kind="evaluation", dataset=dataset)
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    Image.new("L", (64, 48), 9).save(root / "annotations" / "test" / "p1.png")
    with pytest.raises(DataError, match=r"other than 0 to 2, 255 \(void\): 9"):
        planned(plans[0], "no", kind="evaluation", dataset=dataset)


def test_an_experiment_that_has_not_begun(plans: tuple[Plan, Plan]) -> None:
    """Has no plan, and is told so."""
    never = plans[0].model_copy(update={"experiment": "never"})
    with pytest.raises(ReportError, match="experiment never has no plan"):
        planned(never, "no", kind="evaluation")


def test_where_two_disagree(plans: tuple[Plan, Plan]) -> None:
    """The pictures with the highest shares, by a rule that stands beside them; ids as they were counted."""
    asked = {"against": "e2", "pictures": 2}
    plan = planned(plans[0], "disagree", kind="evaluation", disagreement=asked)
    result = evaluated(plan)
    folder = plan.dir.pictures
    told = json.loads(folder.file("pictures.json").read_text())
    names = [entry["name"] for entry in told["pictures"]]
    assert tuple(names) == result.pictures
    assert told["rule"] == (
        "the highest shares of valid pixels on which the two labels differ and exactly one of them is right"
    )
    shares = {name: _share(plan, plans, name) for name in ("p0", "p1", "p2")}
    expected = sorted((name for name in shares if shares[name]), key=lambda name: (-shares[name], name))[:2]
    assert names == expected
    assert expected, "two seeds agree nowhere so exactly"
    for entry in told["pictures"]:
        assert entry["share"] == shares[entry["name"]]
        assert sorted(entry["files"]) == ["compare", "other", "ours", "picture", "truth"]
        assert all(folder.file(name).exists() for name in entry["files"].values())
        assert entry["boxes"], "where they differ"


def test_one_experiment_never_disagrees_with_itself(plans: tuple[Plan, Plan]) -> None:
    """No picture is kept of those that an earlier attempt left."""
    plan = planned(plans[0], "disagree", kind="evaluation", disagreement={"against": "e1"})
    assert evaluated(plan).pictures == ()
    assert plan.dir.pictures.names() == ["pictures.json"]


def _share(plan: FollowupPlan, plans: tuple[Plan, Plan], name: str) -> float:
    """Written out: of the valid pixels those where one of two predictions alone is right."""
    ours, other = (_labels(trained, name) for trained in plans)
    mask = Path(plan.data.root) / "annotations" / plan.data.eval_split / f"{name}.png"
    target = np.asarray(Image.open(mask))
    valid = target != 255
    alone = (ours == target) ^ (other == target)
    return float((valid & alone).sum() / valid.sum())


def _labels(trained: Plan, name: str) -> np.ndarray[Any, Any]:
    plan = planned(trained, f"labels-{name}", kind="prediction")
    picture = Path(trained.data.root) / "images" / trained.data.eval_split / f"{name}.png"
    plan.dir.picture.write(picture.read_bytes())
    work(plan.model_dump_json())
    return np.asarray(Image.open(plan.dir.labels.local))
