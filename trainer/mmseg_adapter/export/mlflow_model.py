"""A model in MLflow's form: a pyfunc over the exported program, with signature, example and requirements."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import torch

from trainer.mmseg_adapter.export.pictures import Picture
from trainer.mmseg_adapter.export.program_files import PROGRAM
from trainer.mmseg_adapter.export.subject import Subject
from trainer.mmseg_adapter.export.trace import Traced, quiet
from trainer.mmseg_adapter.export.versions import installed

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
_CODE = Path(__file__).parent / "alone" / "pyfunc_model.py"
_NEEDED = ("mlflow", "numpy", "torch")
_OPENCV = ("opencv-python-headless", "opencv-python")
_EXAMPLE = 128  # pixels of a side of the example, where the model takes so few


def write_mlflow(subject: Subject, graph: Traced, folder: Path) -> None:
    """What `mlflow.pyfunc.load_model` and `mlflow models serve` take."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    with quiet(), tempfile.TemporaryDirectory(dir=folder.parent, prefix=".program.") as scratch:
        program = Path(scratch) / PROGRAM
        torch.export.save(graph.program, program)
        _save(subject, graph, program, folder)
        _forget_paths(folder)


def _save(subject: Subject, graph: Traced, program: Path, folder: Path) -> None:
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    way = subject.way
    picture = TensorSpec(np.dtype(np.uint8), (-1, -1, -1, 3), name=None)
    labels = TensorSpec(np.dtype(np.int64), (-1, -1, -1), name=None)
    mlflow.pyfunc.save_model(
        path=folder,
        python_model=str(_CODE),
        artifacts={"program": str(program)},
        signature=ModelSignature(Schema([picture]), Schema([labels])),
        input_example=_example(subject, graph)[None],
        pip_requirements=requirements(),
        metadata={"classes": subject.classes, "palette": subject.palette, **_origin(subject)},
        model_config={
            "test_size": None if isinstance(way.test_size, str) else list(way.test_size),
            "scale": way.scale,
            "only_size": None if graph.size is None else list(graph.size),
            "least_size": list(graph.least),
        },
    )


def _forget_paths(folder: Path) -> None:
    """Takes out where the model was made: MLflow notes that of its files, and reads them from the folder."""
    from mlflow.models import Model

    model = Model.load(folder)
    flavor = model.flavors["python_function"]
    flavor["model_code_path"] = _CODE.name
    flavor["artifacts"]["program"]["uri"] = flavor["artifacts"]["program"]["path"]
    model.save(folder / "MLmodel")


def requirements() -> list[str]:
    """What the model's code imports, in the versions that are installed here.

    Of OpenCV the build without a desktop's libraries is asked for, whichever of the two is here.
    """
    opencv = next(version for name in _OPENCV if (version := installed(name)) is not None)
    return [*(f"{name}=={installed(name)}" for name in _NEEDED), f"{_OPENCV[0]}=={opencv}"]


def _origin(subject: Subject) -> dict[str, str]:
    known = {name: subject.meta.get(name) for name in ("experiment", "iteration")}
    return {name: str(value) for name, value in known.items() if value is not None}


def _example(subject: Subject, graph: Traced) -> Picture:
    """A corner of a real picture, red first; large enough for the program, where the picture is."""
    height, width = (_EXAMPLE if graph.size else max(_EXAMPLE, 2 * side) for side in graph.least)
    return np.ascontiguousarray(subject.real.own[0][:height, :width, ::-1])
