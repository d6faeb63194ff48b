"""`python -m trainer.mmseg_adapter.shipped`: writes the packaged catalogue of mmsegmentation's models."""

from __future__ import annotations

from trainer.mmseg_adapter.shipped.render import write_catalogue

if __name__ == "__main__":
    write_catalogue()
