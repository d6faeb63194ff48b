"""The model card beside what is exported: what it is, how it is used, and how far it was compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.base.text import printable
from trainer.mmseg_adapter.export.card.snippets import snippet
from trainer.mmseg_adapter.export.mmseg_folder import CONFIG, MODEL, TENSORS, WEIGHTS
from trainer.mmseg_adapter.export.pictures import MOST_DIFFERING, Size
from trainer.mmseg_adapter.export.program_files import CLASSES, ONNX, PROGRAM
from trainer.mmseg_adapter.export.subject import Subject
from trainer.mmseg_adapter.export.trace import Traced
from trainer.mmseg_adapter.export.versions import installed
from trainer.spec.evaluation import Slide
from trainer.spec.followups import Format

_TITLES: Mapping[Format, str] = {
    "mmseg": "mmsegmentation config and weights",
    "safetensors": "safetensors",
    "torch_export": "torch.export program",
    "onnx": "ONNX graph",
    "mlflow": "MLflow model (pyfunc)",
}
_FILES: Mapping[Format, str] = {
    "mmseg": f"""\
- `{CONFIG}`: the model, how its pictures are prepared, and a loader for a data set; plain values.
- `{WEIGHTS}`: its weights, for `torch.load(…, weights_only=True)`.""",
    "safetensors": f"""\
- `{TENSORS}`: the weights.
- `{MODEL}`: the model, its classes and colours, and how its pictures are prepared.
- `{CONFIG}`: the same for mmsegmentation.""",
    "torch_export": f"""\
- `{PROGRAM}`: all from pixels to labels; needs torch and nothing else.
- `{CLASSES}`: names and colours.""",
    "onnx": f"""\
- `{ONNX}`: all from pixels to labels; input `picture`, output `labels`.
- `{CLASSES}`: names and colours.""",
    "mlflow": """\
- `MLmodel` and what it names; served by `mlflow models serve -m . --env-manager local`. Names and colours of
  the classes are in its metadata.""",
}
_SCHEDULE = ("iterations", "batch_size", "crop_size", "optimizer", "learning_rate")
_MADE_WITH = ("torch", "numpy", "onedl-mmsegmentation", "safetensors", "onnx", "onnxruntime", "mlflow")


def card(subject: Subject, name: Format, graph: Traced | None, pictures: int, share: float) -> str:
    """README.md of one format's folder, Markdown.

    Args:
        graph: what is exported; None where the model is written as it is.
        pictures: on so many real pictures labels were compared.
        share: of their pixels with another label.
    """
    spec = _spec(subject)
    title = printable(str(spec.get("name") or "Segmentation model"))
    program = snippet(name, subject.way, graph.size if graph else None)
    parts = (
        f"# {title}: {_TITLES[name]}",
        _FILES[name],
        _about(subject, spec),
        f"## Input and output\n\n{_contract(subject, name, graph)}",
        f"## Use\n\nIn this folder, beside a `picture.png`:\n\n```python\n{program}```",
        f"## Compared\n\n{_compared(pictures, share)}",
        f"## Classes\n\n{_classes(subject)}",
        f"## Made with\n\n{_versions()}",
        f"## Licence\n\n{_licence(spec)}",
    )
    return "\n\n".join(parts) + "\n"


def _spec(subject: Subject) -> dict[str, Any]:
    spec = subject.meta.get("spec")
    return spec if isinstance(spec, dict) else {}


def _about(subject: Subject, spec: Mapping[str, Any]) -> str:
    """What is known of the training, a row for each fact."""
    schedule, model = spec.get("schedule") or {}, spec.get("model") or {}
    began, score = spec.get("weights"), subject.score
    rows = {
        "experiment": subject.meta.get("experiment"),
        "model": model.get("name") or model.get("mmseg") or _parts(subject.model),
        "data set": _data_set(spec),
        "method": (spec.get("method") or {}).get("kind"),
        "recipe": spec.get("recipe"),
        "schedule": ", ".join(f"{key} {schedule[key]}" for key in _SCHEDULE if key in schedule),
        "weights of iteration": subject.meta.get("iteration"),
        "backbone began with": "random weights" if began == "none" else began,
        "score in training": score and f"{score.name} {score.value:.2f} % ({score.mode})",
    }
    told = {key: value for key, value in rows.items() if value not in (None, "")}
    lines = [f"| {key} | {printable(str(value)).replace('|', '/')} |" for key, value in told.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _parts(model: Any) -> str:
    """For example `UPerHead on ResNet`."""
    head = model.decode_head
    last = head[-1] if hasattr(head, "__getitem__") else head
    return f"{type(last).__name__} on {type(model.backbone).__name__}"


def _data_set(spec: Mapping[str, Any]) -> Any:
    return (spec.get("dataset") or {}).get("name")


def _contract(subject: Subject, name: Format, graph: Traced | None) -> str:
    resized = _resized(subject)
    if graph is None:
        return f"In: a picture's file; it {resized}.\n\nOut: (H, W) int64, at the picture's own size."
    only, least = graph.size, f"{graph.least[0]}×{graph.least[1]}"
    if name == "mlflow":
        brought = f" Then it is brought to {_size(only)}, whatever its aspect." if only else ""
        return (
            f"In: (N, H, W, 3) uint8, red first. Inside, a picture {resized}.{brought}\n\n"
            "Out: (N, H, W) int64, ids of the classes below. Where a picture was resized, its labels are\n"
            "repeated to its own size: of each pixel that of the nearest.\n\n"
            'Over HTTP: POST `{"inputs": …}` as JSON to `/invocations`.'
        )
    taken = (
        f"a picture of {_size(only)}, and of no other size: the model's graph holds for one."
        if only
        else f"a picture of any size from {least} (height × width) on{_windows(subject)}."
    )
    return (
        f"In: (1, 3, H, W) uint8, red first, {taken}\n\n"
        "Out: (1, H, W) int64, ids of the classes below.\n\n"
        "Normalisation, windows and argmax are inside; resizing is not. In evaluation a picture\n"
        f"{resized}, and labels are those of the picture at that size."
    )


def _size(size: Size) -> str:
    return f"{size[0]}×{size[1]} (height × width)"


def _resized(subject: Subject) -> str:
    way = subject.way
    if not isinstance(way.test_size, str):
        return f"is resized to fit in {max(way.test_size)}×{min(way.test_size)}, its aspect kept"
    return "is taken as it is" if way.scale == 1 else f"is scaled by {way.scale:g}"


def _windows(subject: Subject) -> str:
    """What sliding windows ask for."""
    slide = subject.way.inference
    if not isinstance(slide, Slide):
        return ""
    (h, w), (down, right) = slide.window, slide.stride
    return (
        f"\nthat is larger than a window, {h}×{w}. Windows lie every {down}×{right} pixels and are\n"
        "computed in one batch: memory grows with their number"
    )


def _compared(pictures: int, share: float) -> str:
    same = "every pixel" if not share else f"all but {share:.4%} of the pixels"
    on = f"{pictures} real picture{'s' * (pictures != 1)}"
    return (
        f"On {on} {same} got the label that mmsegmentation's prediction from the\n"
        f"checkpoint gives. At most {MOST_DIFFERING:.2%} may differ: libraries round in other orders, and\n"
        "two classes may be as close as that. Other pictures and other processors were not tried."
    )


def _classes(subject: Subject) -> str:
    return "\n".join(f"- {k}: {printable(each)}" for k, each in enumerate(subject.classes))


def _versions() -> str:
    found = {name: installed(name) for name in _MADE_WITH}
    return ", ".join(f"{name} {version}" for name, version in found.items() if version)


def _licence(spec: Mapping[str, Any]) -> str:
    began = spec.get("weights", "none")
    also = "" if began == "none" else f",\nand of the weights that its backbone began with ({began})"
    return (
        "Whether the weights may be passed on or used in a product depends on the terms of the pictures\n"
        f"that they were trained on ({_data_set(spec) or 'not known'}){also}. The network's code is\n"
        "mmsegmentation's, Apache License 2.0."
    )
