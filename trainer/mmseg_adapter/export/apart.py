"""An exported model run in a process that has nothing of ours: what its labels are there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainer.base.files import full_disk_told
from trainer.mmseg_adapter.export.mlflow_model import QUIET
from trainer.mmseg_adapter.export.pictures import Labels, Picture
from trainer.mmseg_adapter.export.refused import Refused
from trainer.spec.followups import Format

_SCRIPT = Path(__file__).parent / "alone" / "process.py"
_PATIENCE = 3600.0  # seconds


def labels_apart(kind: Format, model: Path, pictures: Sequence[Picture]) -> list[Labels]:
    """The labels that `model`, a file or folder of this format, gives the pictures.

    Raises:
        Refused: it does not load or run there; with the last line of what was said.
    """
    with tempfile.TemporaryDirectory() as scratch, full_disk_told(Path(scratch)):
        given, answer = Path(scratch) / "pictures.npz", Path(scratch) / "labels.npz"
        np.savez(given, *[picture[:, :, ::-1] for picture in pictures])
        command = [sys.executable, "-IB", str(_SCRIPT), kind, str(model), str(given), str(answer)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE,
                check=False,
                env={**os.environ, **QUIET},
            )
        except subprocess.TimeoutExpired:
            raise Refused(f"the exported model gave no labels within {_PATIENCE:.0f} s") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise Refused(f"the exported model does not run apart from this package: {lines[-1][:300]}")
        with np.load(answer, allow_pickle=False) as read:
            return [read[f"arr_{number}"].astype(np.int64) for number in range(len(pictures))]
