"""Why a model is not to be had in a format."""

from __future__ import annotations

from trainer.base.errors import RegionRebalanceError


class Refused(RegionRebalanceError):
    """The model does not allow the format, or what was written predicts other labels; the text says why."""
