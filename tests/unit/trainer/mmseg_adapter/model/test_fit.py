"""What a model of known parts cannot do is said before it is built; what fits trains, branch attached."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import nn

from tests.own_models import OWN_MODELS, changed
from tests.unit.trainer.mmseg_adapter.model.rendering import rendered
from tests.unit.trainer.tiny_mmseg import REBALANCE, SIZE, factory, losses_of, mmseg_scope
from trainer.base.errors import ModelError
from trainer.mmseg_adapter.head import attach
from trainer.mmseg_adapter.model.fit import check_model, check_size
from trainer.run.reported import attempt_error
from trainer.spec.own.model import own_model_problems

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mmseg.*", "ignore:torch.meshgrid.*:UserWarning")
CROP = (SIZE, SIZE)


@pytest.mark.parametrize("name", OWN_MODELS)
def test_accepted_models_fit_and_train_with_the_branch(name: str) -> None:
    """The outline says that it fits; built, with the branch, it has finite losses and gradients."""
    config = rendered(OWN_MODELS[name])
    number = check_model(config, pictures=2, crop_size=CROP)
    with mmseg_scope():
        torch.manual_seed(0)
        model: Any = MODELS.build(Config(config))
        assert isinstance(model, nn.Module)
        assert number == sum(each.numel() for each in model.parameters())
        model.init_weights()
        attach(model, factory(**REBALANCE))
        total, _ = model.parse_losses(losses_of(model))
    total.backward()
    assert total.isfinite()
    assert all(each.grad.isfinite().all() for each in model.parameters() if each.grad is not None)


MISFITS: dict[str, tuple[dict[str, Any], str, str]] = {
    "channels that do not come": (
        changed("segformer", decode_head__in_channels=[8, 8, 8, 16]),
        "/decode_head",
        "SegformerHead does not take what comes to it, 4 maps of 8×8×8, 8×4×4, 8×2×2, 8×1×1: RuntimeError",
    ),
    "a map that is not there": (
        changed("pspnet", decode_head__in_index=4),
        "/decode_head",
        "PSPHead does not take what comes to it, 4 maps of",
    ),
    "of the second head": (
        changed("fpn", auxiliary_head__0__in_index=9),
        "/auxiliary_head/0",
        "FCNHead does not take",
    ),
    "in a neck": (
        changed("fpn", neck__in_channels=[4, 8, 16]),
        "/neck",
        "FPN does not take what comes to it, 4 maps of 4×8×8",
    ),
    "fewer indices than channels": (
        changed("segformer", decode_head__in_index=[0, 1]),
        "/decode_head",
        "SegformerHead cannot be built: AssertionError: assert len(in_channels) == len(in_index)",
    ),
    "a depth that there is not": (
        changed("upernet_resnet", backbone__depth=19),
        "/backbone",
        "ResNet cannot be built: KeyError: 'invalid depth 19 for resnet'",
    ),
    "stages without settings": (
        changed("fcn_hrnet", backbone__extra__stage3={"num_modules": 1}),
        "/backbone",
        "HRNet cannot be built: KeyError",
    ),
    "another size of pictures": (
        changed("beit", backbone__img_size=[64, 64]),
        "/backbone",
        "BEiT does not take what comes to it, pictures of 3×32×32",
    ),
    "a second stage of a cascade": (
        changed("ocrnet", decode_head__1__in_channels=[4, 8, 16, 64]),
        "/decode_head/1",
        "OCRHead does not take",
    ),
    "many parameters": (
        changed("segformer", decode_head__channels=8192, backbone__embed_dims=8192),
        "/backbone",
        "MixVisionTransformer is too large: it has too many parameters",
    ),
    "a map beyond any memory": (
        changed(
            "pspnet",
            backbone__base_channels=16,
            decode_head__in_channels=512,
            decode_head__pool_scales=[4096],
        ),
        "/decode_head",
        "PSPHead is too large: a map of (2, 512, 4096, 4096) numbers",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_misfits_are_told_with_their_part(name: str) -> None:
    """Accepted as JSON, and refused before anything is built, with the part's pointer and mmseg's words."""
    config, place, words = MISFITS[name]
    assert own_model_problems(config) == []
    with pytest.raises(ModelError) as caught:
        check_model(rendered(config), pictures=2, crop_size=CROP)
    assert caught.value.pointer == f"/model/config{place}"
    assert caught.value.problem.startswith(words), caught.value.problem
    assert len(str(caught.value)) < 800
    assert "\n" not in str(caught.value)


def test_batch_norm_of_one_value_is_told() -> None:
    """A single small picture gives a pooled map one value a channel: that is said before the first step."""
    config = rendered(OWN_MODELS["upernet_resnet"])
    assert check_model(config, pictures=2, crop_size=CROP)
    with pytest.raises(ModelError, match="more than 1 value per channel"):
        check_model(config, pictures=1, crop_size=CROP)


def test_weights_that_no_head_uses_are_told_to_several_workers() -> None:
    """A stage whose maps nobody takes gets no gradient: one worker trains the rest, several cannot."""
    config = rendered(
        changed("upernet_resnet", decode_head__in_channels=[4, 8, 16], decode_head__in_index=[0, 1, 2])
    )
    assert check_model(config, pictures=2, crop_size=CROP)
    with pytest.raises(
        ModelError, match=r"weights are used by no head, layer4\.0\.conv1\.weight first"
    ) as caught:
        check_model(config, pictures=2, crop_size=CROP, several_workers=True)
    assert caught.value.pointer == "/model/config/backbone"


def test_it_is_not_tried_again() -> None:
    """The report of a job that ends so says that another attempt would end the same."""
    error = attempt_error(ModelError("/model/config/neck", "why"))
    assert not error.retryable
    assert error.message == "/model/config/neck: why"


def test_the_bound_is_the_callers() -> None:
    """The number of parameters is returned, and refused one below it, with both numbers."""
    config = rendered(OWN_MODELS["segformer"])
    number = check_size(config)
    assert check_size(config, number) == number
    with pytest.raises(ModelError, match=f"has {number:,} parameters; at most {number - 1:,}"):
        check_size(config, number - 1)


def test_a_head_without_a_classifier_of_pixels_is_told() -> None:
    """What `attach` would refuse is refused before the model is built."""
    config = rendered(OWN_MODELS["segformer"])
    config["decode_head"]["sampler"] = {"type": "OHEMPixelSampler"}
    with pytest.raises(ModelError, match="samples pixels") as caught:
        check_model(config, pictures=2, crop_size=CROP)
    assert caught.value.pointer == "/model/config/decode_head"
    assert pickle.loads(pickle.dumps(caught.value)).problem == caught.value.problem
