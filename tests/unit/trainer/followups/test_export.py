"""A checkpoint taken away by a job's worker, in this process, without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.own_models import OWN_MODELS
from tests.unit.trainer.followups.test_evaluate import planned
from tests.unit.trainer.followups.trained import trained
from trainer.base.errors import Cancelled
from trainer.followups.worker import work
from trainer.plan import Plan
from trainer.results.followup import ExportResult

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning:mmseg.*", "ignore:torch.meshgrid.*:UserWarning"),
]


def exported(trained: Plan, followup: str, **request: Any) -> tuple[ExportResult, list[str]]:
    """The result, and the files that are there."""
    plan = planned(trained, followup, kind="export", **request)
    return ExportResult.model_validate(work(plan.model_dump_json())), plan.dir.export.files()


def test_formats_beside_each_other(plans: tuple[Plan, Plan]) -> None:
    """Compared on pictures of the scored split; again they take the place of what was there."""
    result, files = exported(plans[0], "away", formats=["mmseg", "safetensors"])
    assert [(each.format, each.pictures, each.differing) for each in result.files] == [
        ("mmseg", 3, 0),
        ("safetensors", 3, 0),
    ]
    assert {"mmseg/weights.pth", "mmseg/README.md", "safetensors/model.json"} <= set(files)
    again, files = exported(plans[0], "away", formats=["safetensors"], checkpoint="best")
    assert ([each.format for each in again.files], again.refused) == (["safetensors"], {})
    assert {name.partition("/")[0] for name in files} == {"safetensors"}


def test_a_model_that_draws_is_refused_in_the_report(plans: tuple[Plan, Plan]) -> None:
    """That nothing can be kept is a result like any other, with the part's name; not a failure."""
    head = {
        "type": "LightHamHead",
        "in_channels": [4, 8, 16, 32],
        "in_index": [0, 1, 2, 3],
        "channels": 8,
        "ham_channels": 8,
        "ham_kwargs": {"MD_R": 4},
    }
    model = {"config": {"backbone": OWN_MODELS["upernet_resnet"]["backbone"], "decode_head": head}}
    plan = trained(plans[0].layout.root, plans[0].data.root, "ham", model=model)
    result, files = exported(plan, "ham", formats=["mmseg", "onnx"])
    assert (result.files, files) == ((), [])
    assert all("(NMF2D) draws random numbers" in why for why in result.refused.values())
    assert list(result.refused) == ["mmseg", "onnx"]


@pytest.mark.parametrize(
    "request_",
    [
        {"kind": "export", "formats": ["safetensors"]},
        {"kind": "evaluation", "disagreement": {"against": "e2"}},
        {"kind": "prediction"},
    ],
)
def test_an_attempt_that_was_given_up_writes_nothing(
    plans: tuple[Plan, Plan], request_: dict[str, Any]
) -> None:
    """Once a newer one has begun, what comes out of it stays as it is."""
    plan = planned(plans[0], f"old-{request_['kind']}", **request_)
    if request_["kind"] == "prediction":
        plan.dir.picture.write((_pictures(plans[0]) / "p0.png").read_bytes())
    plan.dir.attempt(2).spec.write("{}")
    plan.dir.export.file("mmseg/config.py").write("the newer one's")
    before = plan.dir.folder.files()
    with pytest.raises(Cancelled, match="a newer attempt at this follow-up has begun"):
        work(plan.model_dump_json())
    assert plan.dir.folder.files() == before


def _pictures(plan: Plan) -> Path:
    return Path(plan.data.root) / "images" / plan.data.eval_split
