"""Own models as JSON: what is accepted, and that everything else is refused with its place."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from tests.own_models import OWN_MODELS, changed
from tests.paths import ROOT
from trainer.base.errors import Problem
from trainer.spec.catalogue.own_parts import rooms, unfit
from trainer.spec.own.model import OwnModel, own_model_problems, whole_config

CONFIG = "/model/config"


def model(**changes: Any) -> dict[str, Any]:
    return changed("segformer", **changes)


def only(problems: list[Problem]) -> Problem:
    (problem,) = problems
    return problem


@pytest.mark.parametrize("name", OWN_MODELS)
def test_models_of_known_parts_are_accepted(name: str) -> None:
    """Each example is accepted, also after a way through JSON."""
    assert own_model_problems(json.loads(json.dumps(OWN_MODELS[name]))) == []


def test_labels_name_head_and_network() -> None:
    """Tables call a model by its last decode head and its network."""
    labels = {name: OwnModel(config=config).label for name, config in OWN_MODELS.items()}
    assert labels["segformer"] == "own SegformerHead on MixVisionTransformer"
    assert labels["ocrnet"] == "own OCRHead on HRNet"
    assert OwnModel(config={"decode_head": []}).label == "own model on model"


@pytest.mark.parametrize(
    ("key", "words"),
    {
        "num_classes": "the data set decides it",
        "out_channels": "the data set decides it",
        "ignore_index": "the data set decides it",
        "loss_decode": "the method decides",
        "sampler": "the method decides",
        "init_cfg": "/weights says",
    }.items(),
)
def test_what_others_decide_is_refused_with_words(key: str, words: str) -> None:
    """Heads may not name classes, losses or samplers: the message says who decides."""
    for place in ("decode_head", "auxiliary_head"):
        config = {**model(), "auxiliary_head": dict(model()["decode_head"])}
        config[place] = {**config[place], key: None}
        problem = only(own_model_problems(config))
        assert problem.pointer == f"{CONFIG}/{place}/{key}"
        assert words in problem.got


def test_unknown_and_missing_parameters_are_told() -> None:
    """A keyword that the class does not take, and one that it needs, with the names that it has."""
    wrong = only(own_model_problems(model(decode_head__dilation=2)))
    assert wrong.pointer == f"{CONFIG}/decode_head/dilation"
    assert "SegformerHead" in wrong.got
    assert "interpolate_mode" in wrong.allowed
    needed = model()
    del needed["decode_head"]["channels"]
    assert only(own_model_problems(needed)).pointer == f"{CONFIG}/decode_head/channels"
    assert {problem.pointer for problem in own_model_problems({})} == {
        f"{CONFIG}/backbone",
        f"{CONFIG}/decode_head",
    }


def test_a_near_name_is_offered() -> None:
    """A slip of the pen gets the name that was meant; a class that cannot be used its reason."""
    slip = only(own_model_problems(model(backbone={"type": "SwinTransfomer"})))
    assert "did you mean SwinTransformer?" in slip.got
    refused = only(own_model_problems(model(decode_head={"type": "PointHead"})))
    assert "compiled" in refused.got
    assert "PointHead" not in refused.allowed


def test_cascades_are_told_from_single_heads() -> None:
    """OCRHead refines what another head gave: it is no first head, and other heads are no second one."""
    ocr = OWN_MODELS["ocrnet"]
    first, second = ocr["decode_head"]
    for config, place in (
        ({**ocr, "decode_head": [second, second]}, "/decode_head/0/type"),
        ({**ocr, "decode_head": [first, first]}, "/decode_head/1/type"),
        ({"backbone": ocr["backbone"], "decode_head": second}, "/decode_head/type"),
    ):
        assert only(own_model_problems(config)).pointer == CONFIG + place
    short = {name: ocr[name] for name in ("backbone", "decode_head")}
    assert own_model_problems(short) == []
    assert whole_config(short) == whole_config(ocr)


def test_defaults_that_a_cpu_cannot_run_are_written_out() -> None:
    """Where the default is synchronised batch norm the whole config says so; what is given stays."""
    whole = whole_config(OWN_MODELS["beit"])
    assert whole["type"] == "EncoderDecoder"
    assert whole["neck"]["norm_cfg"]["type"] == "SyncBN"
    other = copy.deepcopy(OWN_MODELS["beit"])
    other["neck"]["norm_cfg"] = {"type": "BN"}
    assert whole_config(other)["neck"]["norm_cfg"] == {"type": "BN"}
    assert "norm_cfg" not in OWN_MODELS["beit"]["neck"]


def test_many_problems_are_told_in_part() -> None:
    """Of very many problems the first fifty are told, and the number of the others."""
    head = {**model()["decode_head"], **{f"key{number}": 1 for number in range(100)}}
    problems = own_model_problems(model(decode_head=head))
    assert len(problems) == 51
    assert problems[-1].got == "50 more problems"


def test_nothing_that_loads_is_a_parameter() -> None:
    """No part takes first weights, files, losses, devices or numbers of classes; no class is in two lists."""
    never = {"init_cfg", "pretrained", "checkpoint", "num_classes", "loss_decode", "sampler", "device", "dcn"}
    parts = [part for room in rooms().values() for part in room.values()]
    assert parts
    assert not [part.name for part in parts if part.parameters & never]
    assert not {part.name for part in parts} & unfit().keys()


def test_the_page_lists_the_parts() -> None:
    """docs/models.md has each room's usable parts, and no others."""
    page = (ROOT / "docs" / "models.md").read_text()
    for room, parts in rooms().items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {room} |")]
        listed = re.findall(r"`(\w+)`", row.split("|")[3])
        assert listed == [name for name, part in sorted(parts.items()) if part.refused is None]
