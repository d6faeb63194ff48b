"""The packaged list of pretrained weights."""

from __future__ import annotations

import re

from trainer.spec.catalogue.weights_list import WEIGHTS
from trainer.storage.weights import is_weights_name

# What the rows of the paper's tables begin from.
OF_THE_PAPER = {
    "resnet50_v1c",
    "resnet101_v1c",
    "hrnetv2_w18",
    "hrnetv2_w48",
    "swin_tiny_patch4_window7_224",
    "swin_base_patch4_window7_224_22k",
    "beit_large_patch16_224_pt22k_ft22k",
}


def test_the_papers_are_named() -> None:
    """Each by a name that stays, for specs name it."""
    assert set(WEIGHTS) >= OF_THE_PAPER


def test_every_entry_can_be_used() -> None:
    """Names that a file may have, addresses by https, digits as long as publishers write them, or none."""
    for name, weights in WEIGHTS.items():
        assert weights.name == name
        assert is_weights_name(name)
        assert all(url.startswith("https://") for url in weights.urls)
        assert weights.sha256 is None or re.fullmatch(r"[0-9a-f]{8,64}", weights.sha256)


def test_digits_are_those_of_the_file_names() -> None:
    """What a publisher wrote into a name is what its file is judged by."""
    for weights in WEIGHTS.values():
        for file in weights.file_names:
            digits = re.search(r"-([0-9a-f]{8})\.pth$", file)
            assert digits is None or weights.sha256 == digits[1]
