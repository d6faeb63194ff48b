"""Whose names and order the tensors of a file have; `trainer.mmseg_adapter.pretrained` converts each."""

from __future__ import annotations

LAYOUTS = {
    "mmseg": "names as in mmsegmentation's own backbones",
    "swin": "the Swin Transformer authors' release",
    "beit": "the BEiT authors' release",
    "vit": "ViT and DeiT as timm has them",
}
