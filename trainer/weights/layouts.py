"""Whose names and order the tensors of a file have; `trainer.mmseg_adapter.pretrained` converts each."""

from __future__ import annotations

LAYOUTS = {
    "mmseg": "names as in mmsegmentation's own backbones",
    "mmpretrain": "the same, below the name of the backbone, and a classifier",
    "swin": "the Swin Transformer authors' release",
    "beit": "the BEiT authors' release",
    "timm": "ViT and DeiT as timm has them",
}
