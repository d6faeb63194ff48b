"""Models that would load, run or fill something: each is refused, at its place, whatever it is."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.own_models import OWN_MODELS, changed
from trainer.spec.catalogue.own_parts import rooms
from trainer.spec.own.model import OwnModel, own_model_problems

CONFIG = "/model/config"


def model(**changes: Any) -> dict[str, Any]:
    return changed("segformer", **changes)


def resnet(**settings: Any) -> dict[str, Any]:
    return model(backbone={"type": "ResNet", "depth": 18, **settings})


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"extra": value}
    return value


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "a class by its module": (model(backbone__type="mmseg.models.backbones.ResNet"), "/backbone/type"),
    "a function": (model(backbone__type="os.system"), "/backbone/type"),
    "torch.load": (model(decode_head__type="torch.load"), "/decode_head/type"),
    "torch.load as an activation": (
        model(backbone__act_cfg={"type": "torch.load"}),
        "/backbone/act_cfg/type",
    ),
    "another scope": (model(backbone__type="mmengine::Linear"), "/backbone/type"),
    "a type that is a list": (model(backbone__type=["ResNet"]), "/backbone/type"),
    "a type that is an object": (model(backbone__type={"type": "ResNet"}), "/backbone/type"),
    "no type": (model(backbone={"depth": 18}), "/backbone/type"),
    "a head as a network": (model(backbone__type="FCNHead"), "/backbone/type"),
    "a network that downloads": (
        model(backbone={"type": "TIMMBackbone", "model_name": "x"}),
        "/backbone/type",
    ),
    "a segmentor that is none": (model(type="SegTTAModel"), "/type"),
    "first weights from a file": (
        model(backbone__init_cfg={"type": "Pretrained", "checkpoint": "file:///etc/passwd"}),
        "/backbone/init_cfg",
    ),
    "first weights from the net": (model(backbone__pretrained="http://host/x.pth"), "/backbone/pretrained"),
    "weights of the whole": (model(init_cfg={"type": "Pretrained"}), "/init_cfg"),
    "a scope": (model(backbone___scope_="mmdet"), "/backbone/_scope_"),
    "mmengine's delete": (model(_delete_=True), "/_delete_"),
    "imports": (model(custom_imports={"imports": ["os"]}), "/custom_imports"),
    "a preprocessor": (model(data_preprocessor={"type": "X"}), "/data_preprocessor"),
    "train_cfg": (model(train_cfg={}), "/train_cfg"),
    "test_cfg": (model(test_cfg={"mode": "slide"}), "/test_cfg"),
    "a path as a value": (
        model(decode_head__interpolate_mode="../../etc/passwd"),
        "/decode_head/interpolate_mode",
    ),
    "an address as a value": (
        model(decode_head__interpolate_mode="http://h"),
        "/decode_head/interpolate_mode",
    ),
    "an object as a value": (model(decode_head__channels={"type": "ReLU"}), "/decode_head/channels"),
    "an object in a list": (model(backbone__num_heads=[1, {"a": 1}, 1, 1]), "/backbone/num_heads/1"),
    "a huge integer": (model(decode_head__channels=10**300), "/decode_head/channels"),
    "an integer of 5,000 digits": (model(decode_head__channels=10**5000), "/decode_head/channels"),
    "negative channels": (model(decode_head__channels=-8), "/decode_head/channels"),
    "no channels": (model(decode_head__channels=0), "/decode_head/channels"),
    "half a channel": (model(decode_head__channels=0.5), "/decode_head/channels"),
    "channels in words": (model(decode_head__channels="many"), "/decode_head/channels"),
    "many layers": (model(backbone__num_layers=[1, 1, 201, 1]), "/backbone/num_layers/2"),
    "a negative dilation": (resnet(dilations=[-1, 1, 1, 1]), "/backbone/dilations/0"),
    "a large picture": (model(backbone={"type": "BEiT", "img_size": 4097}), "/backbone/img_size"),
    "not a number": (model(decode_head__dropout_ratio=float("nan")), "/decode_head/dropout_ratio"),
    "1e400": (model(decode_head__dropout_ratio=json.loads("1e400")), "/decode_head/dropout_ratio"),
    "a share above one": (model(backbone__drop_path_rate=5), "/backbone/drop_path_rate"),
    "all of it dropped": (model(decode_head__dropout_ratio=1), "/decode_head/dropout_ratio"),
    "less than none dropped": (model(backbone__attn_drop_rate=-0.1), "/backbone/attn_drop_rate"),
    "a million items": (model(backbone__num_layers=[1] * 1_000_000), "/backbone/num_layers"),
    "100,000 keys": (model(backbone={str(key): 1 for key in range(100_000)}), "/backbone"),
    "a million letters": (model(backbone__type="R" * 1_000_000), "/backbone/type"),
    "many values": (model(backbone__extra=[[1] * 199] * 199), ""),
    "10,000 levels": (model(backbone__extra=deep(10_000)), "/backbone" + "/extra" * 9),
    "a letter that looks like another": (model(backbone__type="RеsNet"), "/backbone/type"),  # Cyrillic е
    "a full-width name": (model(backbone__type="ＲesNet"), "/backbone/type"),
    "an invisible letter": (model(backbone__type="ResNet\u200b"), "/backbone/type"),
    "a number as a head": (model(decode_head=3), "/decode_head"),
    "null as a network": (model(backbone=None), "/backbone"),
    "a part in a cfg": (model(backbone__cfg={"type": "ResNet"}), "/backbone/cfg"),
    "a network in a network": (
        model(backbone={"type": "ICNet", "backbone_cfg": {"type": "os.system"}}),
        "/backbone/backbone_cfg/type",
    ),
    "deformable convolution": (resnet(dcn={"type": "DCN"}), "/backbone/dcn"),
    "a compiled convolution": (resnet(conv_cfg={"type": "DCNv2"}), "/backbone/conv_cfg/type"),
    "a plugin that is none": (
        resnet(plugins=[{"cfg": {"type": "ResNet"}, "position": "after_conv1"}]),
        "/backbone/plugins/0/cfg/type",
    ),
    "a cascade of one": (model(type="CascadeEncoderDecoder"), "/decode_head"),
    "no heads": (model(auxiliary_head=[]), "/auxiliary_head"),
    "other stages than heads": ({**OWN_MODELS["ocrnet"], "num_stages": 3}, "/num_stages"),
    "dunder": ({**model(), "__class__": "x"}, "/__class__"),
    "a dunder beside a type": (resnet(__init__=1), "/backbone/__init__"),
    "a key with a dot": (resnet(**{"stem.conv": 1}), "/backbone/stem.conv"),
    "a key with a slash": (resnet(**{"a/b": 1}), "/backbone/a~1b"),
    "an empty key": (resnet(**{"": 1}), "/backbone/"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_models_are_refused_at_their_place(name: str) -> None:
    """Each is refused at the place where it is wrong, in words that can be shown."""
    config, place = HOSTILE[name]
    problems = own_model_problems(config)
    assert CONFIG + place in {problem.pointer for problem in problems}, problems
    assert all(problem.got and problem.allowed and len(str(problem)) < 1000 for problem in problems)


def test_a_document_of_any_depth_does_not_end_the_parser() -> None:
    """A model nested 10,000 deep is a validation error, as it comes from Python too."""
    with pytest.raises(ValidationError):
        OwnModel.model_validate({"config": {"backbone": deep(10_000)}})


TYPES = sorted(rooms()["heads"])
KEYS = [
    "type",
    "backbone",
    "neck",
    "decode_head",
    "auxiliary_head",
    "norm_cfg",
    "extra",
    "plugins",
    "channels",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(TYPES),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS) | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@given(config=JSON)
def test_any_json_is_answered(config: Any) -> None:
    """Any JSON is accepted or gets problems; nothing is raised, and no problem points elsewhere."""
    assert all(problem.pointer.startswith(CONFIG) for problem in own_model_problems(config))


@given(name=st.sampled_from(sorted(OWN_MODELS)), value=JSON, data=st.data())
def test_any_change_of_a_model_is_answered(name: str, value: Any, data: st.DataObject) -> None:
    """The same of models with one place of them replaced by any JSON."""
    config = copy.deepcopy(OWN_MODELS[name])
    place: Any = config
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not place[key] or not isinstance(place[key], (dict, list)) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = value
    assert all(problem.pointer.startswith(CONFIG) for problem in own_model_problems(config))
