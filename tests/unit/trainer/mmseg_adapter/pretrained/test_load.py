"""Loading weights into a backbone: what is taken, what is told of it, what is refused as another model's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.unit.trainer.mmseg_adapter.pretrained.backbones import SIDE, authors, make_model, outputs, write
from trainer.base.errors import WeightsError
from trainer.mmseg_adapter.pretrained.load import load_pretrained

KINDS = ("resnet", "hrnet", "swin", "beit", "vit")


def assert_same(one: Any, other: Any, side: int = SIDE) -> None:
    for a, b in zip(outputs(one, side), outputs(other, side), strict=True):
        torch.testing.assert_close(a, b)


def tensors(model: Any) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_mmsegs_own_layout(kind: str, tmp_path: Path) -> None:
    """Every tensor is taken: the model computes what the other did, and nothing is noticed."""
    source, model = make_model(kind, 1), make_model(kind, 2)
    assert not torch.equal(outputs(source)[-1], outputs(model)[-1])
    matched = load_pretrained(model, write(tmp_path / "w.pth", tensors(source)), layout="mmseg")
    assert_same(source, model)
    assert matched.matched == matched.total > 20
    assert (matched.missing, matched.left_over, matched.resized, matched.notice) == ((), (), (), None)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [("resnet", {}), ("hrnet", {}), ("swin", {"window_size": 7}), ("vit", {"img_size": (48, 64)})],
)
def test_the_same_as_mmsegmentation(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    """Its own init_weights makes the same of the same file, tables of positions at another size among it."""
    state = without(
        tensors(make_model(kind, 1)), "relative_position_index"
    )  # at which mmsegmentation stumbles
    path = write(tmp_path / "w.pth", {"state_dict": state})
    model = make_model(kind, 2, **changes)
    theirs = make_model(kind, 2, **changes, init_cfg={"type": "Pretrained", "checkpoint": str(path)})
    theirs.backbone.init_weights()
    load_pretrained(model, path, layout="mmseg")
    state = tensors(theirs)
    assert all(torch.equal(each, state[name]) for name, each in tensors(model).items())


@pytest.mark.parametrize(("kind", "layout"), [("swin", "swin"), ("beit", "beit"), ("vit", "timm")])
def test_the_authors_layouts(kind: str, layout: str, tmp_path: Path) -> None:
    """Converted, the backbone computes the same; the classifier is left over, without a notice."""
    source, model = make_model(kind, 1), make_model(kind, 2)
    path = write(tmp_path / "w.pth", {"model": authors(kind, tensors(source))})
    matched = load_pretrained(model, path, layout=layout)
    if kind == "swin":  # whose norms of outputs no file has
        assert all(name.startswith("norm") for name in matched.missing)
        assert len(matched.missing) == 4
        for level in (0, 1):
            name = f"norm{level}"
            getattr(model.backbone, name).load_state_dict(getattr(source.backbone, name).state_dict())
    assert_same(source, model)
    assert "head.weight" in matched.left_over
    assert matched.notice is None
    assert "left over" in str(matched)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "meta": {"epoch": 1}},
        lambda state: {"model": state},
        lambda state: {f"backbone.{name}": each for name, each in state.items()},
        lambda state: {f"module.{name}": each for name, each in state.items()},
        lambda state: {f"module.backbone.{name}": each for name, each in state.items()},
        lambda state: {
            "state_dict": {
                **{f"backbone.{name}": each for name, each in state.items()},
                "decode_head.conv_seg.weight": torch.zeros(2),
            }
        },
        lambda state: {name: each for name, each in state.items() if "num_batches" not in name},
    ],
)
def test_wrappers_and_prefixes(wrap: Any, tmp_path: Path) -> None:
    """Of a classifier's, a parallel model's, a segmentation model's file; of one from before counters."""
    source, model = make_model("resnet", 1), make_model("resnet", 2)
    matched = load_pretrained(model, write(tmp_path / "w.pth", wrap(tensors(source))), layout="mmseg")
    assert_same(source, model)
    assert matched.matched == matched.total
    assert matched.notice is None


@pytest.mark.parametrize("inside", [False, True])
def test_a_backbone_inside_a_backbone(inside: bool, tmp_path: Path) -> None:
    """ICNet's begins from a ResNet's file, or from one of its own."""
    source, model = make_model("icnet", 1), make_model("icnet", 2)
    state = tensors(source)
    if inside:
        state = {name: each.clone() for name, each in source.backbone.backbone.state_dict().items()}
    matched = load_pretrained(model, write(tmp_path / "w.pth", state), layout="mmseg")
    assert matched.backbone == ("backbone.backbone" if inside else "backbone")
    for name, tensor in model.backbone.backbone.state_dict().items():
        assert torch.equal(tensor, source.backbone.backbone.state_dict()[name])


@pytest.mark.parametrize(
    ("kind", "changes"), [("beit", {"img_size": (64, 64)}), ("swin", {"window_size": 7})]
)
def test_tables_of_positions_are_resized(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    """A crop of another size: told, all else is taken as it is, and the model runs."""
    source, model = make_model(kind, 1), make_model(kind, 2, **changes)
    matched = load_pretrained(model, write(tmp_path / "w.pth", tensors(source)), layout="mmseg")
    assert matched.matched == matched.total
    assert matched.resized
    assert all(name.endswith("relative_position_bias_table") for name in matched.resized)
    assert all(torch.isfinite(each).all() for each in outputs(model, 64))
    assert "resized" in str(matched)


def test_what_is_left_over_and_odd_is_noticed(tmp_path: Path) -> None:
    """Tensors that are neither a classifier's nor a head's: perhaps the file is of a larger model."""
    state = {
        **tensors(make_model("resnet", 1)),
        "layer5.0.conv1.weight": torch.zeros(1),
        "fc.bias": torch.zeros(1),
    }
    matched = load_pretrained(make_model("resnet"), write(tmp_path / "r.pth", state), layout="mmseg")
    assert matched.odd == ("layer5.0.conv1.weight",)
    assert matched.notice is not None
    assert "1 tensors of the weights r have no place in the model's backbone: layer5" in matched.notice.text


def without(state: dict[str, Tensor], *ends: str) -> dict[str, Tensor]:
    return {name: each for name, each in state.items() if not name.endswith(ends)}


@pytest.mark.parametrize(
    ("kind", "change", "layout", "words"),
    [
        (
            "resnet",
            lambda _: tensors(make_model("hrnet")),
            "mmseg",
            "of the .* tensors of ResNetV1c: it is another",
        ),
        ("swin", lambda s: s, "swin", "in the layout swin: lacks 20 .* match in the layout mmseg"),
        ("swin", lambda s: authors("swin", s), "mmseg", "tensors of Swin.* match in the layout swin"),
        (
            "resnet",
            lambda s: without(s, "layer1.0.bn1.running_var"),
            "mmseg",
            "lacks 1 tensors .*running_var",
        ),
        (
            "resnet",
            lambda s: without(s, "layer2.0.conv1.weight"),
            "mmseg",
            "lacks 1 tensors .*layer2.0.conv1",
        ),
        ("beit", lambda s: without(s, "bias_table"), "mmseg", "lacks 2 tensors .*bias_table"),
        (
            "resnet",
            lambda s: {**s, "layer1.0.conv1.weight": torch.zeros(8, 4, 3, 3)},
            "mmseg",
            "1 tensors of other shapes: layer1.0.conv1.weight is 8 × 4 × 3 × 3, not 4 × 4 × 3 × 3",
        ),
        (
            "resnet",
            lambda s: {**s, "stem.0.weight": s["stem.0.weight"] * torch.nan},
            "mmseg",
            "not finite: stem",
        ),
        ("resnet", lambda s: s, "jax", "the layout 'jax' is not known; allowed: mmseg, mmpretrain, swin"),
    ],
)
def test_what_fits_badly_is_refused(kind: str, change: Any, layout: str, words: str, tmp_path: Path) -> None:
    """In words, and the model is as it was."""
    model = make_model(kind)
    before = tensors(model)
    path = write(tmp_path / "w.pth", change(tensors(make_model(kind, 1))))
    with pytest.raises(WeightsError, match=words):
        load_pretrained(model, path, layout=layout)
    assert all(torch.equal(each, before[name]) for name, each in tensors(model).items())


def test_a_model_without_a_backbone(tmp_path: Path) -> None:
    """Nothing to load into."""
    path = write(tmp_path / "w.pth", {"x": torch.zeros(1)})
    with pytest.raises(WeightsError, match="the model has no backbone"):
        load_pretrained(nn.Linear(2, 2), path, layout="mmseg")
