"""A config file's pipelines in the words of `trainer/spec/augmentation.py`, and how its model is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Step = Mapping[str, Any]
Words = dict[str, Any]

# Steps that every data set of ours has its own of.
_LOADED = (
    "LoadImageFromFile",
    "LoadAnnotations",
    "PackSegInputs",
)
_SAID = (
    *_LOADED,
    "RandomResize",
    "RandomChoiceResize",
    "Resize",
    "RandomCrop",
    "RandomFlip",
    "PhotoMetricDistortion",
)
_OTHERWISE = {"Pad": "crops are padded with black before pixels are normalised; here with zeros after it"}
_PHOTOMETRIC = {
    "brightness_delta": 32,
    "contrast_range": [0.5, 1.5],
    "saturation_range": [0.5, 1.5],
    "hue_delta": 18,
}
_JITTER = (0.1, 10.0)  # as `Augmentation` allows


def augmentation_words(config: Mapping[str, Any], notes: list[str]) -> tuple[Words, list[int]]:
    """All fields of an augmentation, and the crop's [height, width]; the rest of the file goes to `notes`."""
    train, test = pipeline_of(config, "train_dataloader"), pipeline_of(config, "val_dataloader")
    steps = {str(step["type"]): step for step in train}
    crop = _pair(steps["RandomCrop"]["crop_size"]) if "RandomCrop" in steps else _padded_to(config, notes)
    words: Words = {"max_shift": 0, **_resize(train, crop, notes)}
    words["cat_max_ratio"] = float(steps.get("RandomCrop", {}).get("cat_max_ratio", 1.0))
    words["flip"] = _flip(steps.get("RandomFlip"), notes)
    words["photometric"] = "PhotoMetricDistortion" in steps
    odd = {
        option: value
        for option, value in steps.get("PhotoMetricDistortion", {}).items()
        if option != "type" and _PHOTOMETRIC.get(option) != value
    }
    if odd:
        notes.append(f"photometric distortion: {odd}")
    notes += [_OTHERWISE.get(kind, f"training step {kind}") for kind in steps if kind not in _SAID]
    words["test_size"] = _test_size(test, notes)
    tested = pipeline_of(config, "test_dataloader")
    if tested and _test_size(tested, []) != words["test_size"]:
        notes.append(f"pictures of its test split are scored at {_test_size(tested, [])}")
    return words, crop


def evaluation_words(config: Mapping[str, Any], parts: int, notes: list[str]) -> Words:
    """How a picture is predicted, and after how many steps the model is scored."""
    how = config["model"].get("test_cfg") or {}
    inference: Any = "whole"
    if how.get("mode") == "slide":
        inference = {"window": _pair(how["crop_size"]), "stride": _pair(how["stride"])}
    elif how.get("mode", "whole") != "whole":
        notes.append(f"pictures are predicted in mode {how['mode']}")
    metrics = (config.get("val_evaluator") or {}).get("iou_metrics") or []
    others = [metric for metric in metrics if metric != "mIoU"]
    if others:
        notes.append(f"scored by {', '.join(others)}")
    interval = (config.get("train_cfg") or {}).get("val_interval")
    return {"inference": inference, "interval": interval // parts if interval else None}


def pipeline_of(config: Mapping[str, Any], loader: str) -> list[Step]:
    """The steps of a loader's data set; of several joined ones the first's."""
    dataset: Any = (config.get(loader) or {}).get("dataset") or {}
    while "pipeline" not in dataset and ("datasets" in dataset or "dataset" in dataset):
        dataset = dataset["dataset"] if "dataset" in dataset else dataset["datasets"][0]
    return list(dataset.get("pipeline") or ())


def _resize(train: Sequence[Step], crop: list[int], notes: list[str]) -> Words:
    for step in train:
        if step["type"] == "RandomResize":
            _keeps_ratio(step, "training pictures", notes)
            return {"resize_base": _base(step["scale"]), "jitter": _ratios(step.get("ratio_range"))}
        if step["type"] == "RandomChoiceResize":
            return _choice(step, crop, notes)
        if step["type"] == "Resize":
            _keeps_ratio(step, "training pictures", notes)
            return {"resize_base": _base(step["scale"]), "jitter": [1.0, 1.0]}
    return {"resize_base": "native", "jitter": [1.0, 1.0]}


def _choice(step: Step, crop: list[int], notes: list[str]) -> Words:
    """Short sides drawn from a list, as a jitter of the crop's."""
    sides = [min(side) if isinstance(side, list) else side for side in step["scales"]]
    longest = step.get("max_size", 4 * min(crop))
    notes.append(f"a picture's short side is one of {min(sides)} to {max(sides)}, at most {longest} long")
    lowest, highest = (round(side / min(crop), 6) for side in (min(sides), max(sides)))
    base = _base([longest, min(crop)])
    return {"resize_base": base, "jitter": [max(lowest, _JITTER[0]), min(highest, _JITTER[1])]}


def _test_size(test: Sequence[Step], notes: list[str]) -> Any:
    size: Any = "native"
    for step in test:
        if step["type"] == "Resize" and "scale" in step:
            _keeps_ratio(step, "scored pictures", notes)
            size = _base(step["scale"])
        elif step["type"] == "ResizeShortestEdge":
            size = _base([step["max_size"], min(_pair(step["scale"]))])
        elif step["type"] == "ResizeToMultiple":
            notes.append(f"scored pictures have sides that are multiples of {step.get('size_divisor', 32)}")
        elif step["type"] not in _LOADED:
            notes.append(f"evaluation step {step['type']}")
    return size


def _keeps_ratio(step: Step, what: str, notes: list[str]) -> None:
    if not step.get("keep_ratio"):
        notes.append(f"{what} do not keep their aspect")


def _flip(step: Step | None, notes: list[str]) -> float:
    if step is None:
        return 0.0
    if step.get("direction", "horizontal") != "horizontal":
        notes.append(f"mirrored {step['direction']}")
    return float(step.get("prob") or 0.0)


def _padded_to(config: Mapping[str, Any], notes: list[str]) -> list[int]:
    """Where nothing is cropped: the size that pictures are padded to."""
    size = (config["model"].get("data_preprocessor") or {}).get("size")
    crop = _pair(size) if size else [512, 512]
    notes.append(f"pictures are not cropped; the crop here is {crop[0]}x{crop[1]}")
    return crop


def _base(scale: Any) -> list[int]:
    """[long side, short side]."""
    return sorted(_pair(scale), reverse=True)


def _ratios(ratios: Any) -> list[float]:
    return [float(ratio) for ratio in ratios] if ratios else [1.0, 1.0]


def _pair(size: Any) -> list[int]:
    return [int(size), int(size)] if isinstance(size, int) else [int(side) for side in size]
