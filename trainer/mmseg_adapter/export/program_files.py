"""A label program in a file: torch.export's own, and ONNX."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import torch

from trainer.mmseg_adapter.export.pictures import as_input, margin
from trainer.mmseg_adapter.export.refused import Refused
from trainer.mmseg_adapter.export.subject import Subject
from trainer.mmseg_adapter.export.trace import Traced, quiet
from trainer.mmseg_adapter.model.fit import MISFITS, misfit_of

PROGRAM, ONNX, CLASSES = "model.pt2", "model.onnx", "classes.json"
_OF_ONNX = ("onnx", "onnxscript", "onnxruntime")


def write_program(subject: Subject, graph: Traced, folder: Path) -> None:
    """model.pt2, what `torch.export.load` reads, and classes.json."""
    torch.export.save(graph.program, folder / PROGRAM)
    _write_classes(subject, folder)


@torch.no_grad()
def write_onnx(subject: Subject, graph: Traced, folder: Path) -> None:
    """model.onnx, input `picture`, output `labels`, and classes.json.

    Raises:
        Refused: an operator has no counterpart, or the libraries are not installed.
    """
    missing = [name for name in _OF_ONNX if find_spec(name) is None]
    if missing:
        raise Refused(f"{', '.join(missing)} are not installed; they come with region-rebalance[onnx]")
    picture = subject.real.of_size(graph.size).pictures[0]
    example = as_input(picture if graph.size else margin(picture))
    with quiet():
        try:
            made = torch.onnx.export(
                graph.program,
                (example,),
                dynamo=True,
                input_names=["picture"],
                output_names=["labels"],
                verbose=False,
            )
            assert made is not None
            made.save(folder / ONNX)
        except MISFITS as error:
            raise Refused(f"torch.onnx makes no graph of the model: {misfit_of(_cause(error))}") from None
    _write_classes(subject, folder)


def _write_classes(subject: Subject, folder: Path) -> None:
    named = {"classes": subject.classes, "palette": subject.palette}
    (folder / CLASSES).write_text(json.dumps(named, indent=1) + "\n", encoding="utf-8")


def _cause(error: BaseException) -> Exception:
    """The second error of a chain: torch's first one only says how to report it."""
    cause = error.__cause__ or error
    return cause if isinstance(cause, Exception) else RuntimeError(str(cause))
