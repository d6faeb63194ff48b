"""The formats: how each is written, and run again to be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import assert_never

from trainer.mmseg_adapter.export.apart import labels_apart
from trainer.mmseg_adapter.export.mlflow_model import write_mlflow
from trainer.mmseg_adapter.export.mmseg_folder import (
    check_tensors,
    labels_by_mmseg,
    labels_by_safetensors,
    write_mmseg,
    write_safetensors,
)
from trainer.mmseg_adapter.export.pictures import Compared, Labels, Picture
from trainer.mmseg_adapter.export.program_files import ONNX, PROGRAM, write_onnx, write_program
from trainer.mmseg_adapter.export.subject import Subject
from trainer.mmseg_adapter.export.trace import Traced
from trainer.spec.followups import Format


@dataclass(frozen=True)
class Attempt:
    """A format as it can be made of a model; there may be several such attempts.

    Attributes:
        write: fills an empty folder; may raise Refused.
        compared: the pictures, and the labels that they must get.
        labels: of pictures, by what was written and nothing else of ours; may raise Refused.
        check: what must hold of the folder beside the labels; may raise Refused.
        graph: what was traced of the model; None where the model is written as it is.
    """

    write: Callable[[Path], None]
    compared: Callable[[], Compared]
    labels: Callable[[Path, Sequence[Picture]], list[Labels]]
    check: Callable[[Path], None] = lambda _: None
    graph: Traced | None = None


def attempts(subject: Subject, name: Format) -> Iterator[Attempt]:
    """The ways to make a format of a model, the one that can do most first. May raise Refused."""
    match name:
        case "mmseg":
            yield Attempt(partial(write_mmseg, subject), lambda: subject.real.at_own_size, labels_by_mmseg)
        case "safetensors":
            yield Attempt(
                partial(write_safetensors, subject),
                lambda: subject.real.at_own_size,
                labels_by_safetensors,
                partial(check_tensors, subject),
            )
        case "torch_export" | "onnx" | "mlflow":
            for graph in subject.graphs():
                yield _of_graph(subject, name, graph)
        case never:
            assert_never(never)


def _of_graph(subject: Subject, name: Format, graph: Traced) -> Attempt:
    write, file, compared = {
        "torch_export": (write_program, PROGRAM, subject.real.of_size),
        "onnx": (write_onnx, ONNX, subject.real.of_size),
        "mlflow": (write_mlflow, "", subject.real.repeated),
    }[name]
    return Attempt(
        partial(write, subject, graph),
        partial(compared, graph.size),
        lambda folder, pictures: labels_apart(name, folder / file, pictures),
        graph=graph,
    )
