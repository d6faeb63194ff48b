"""ExperimentSpec: defaults, canonical JSON, and refusals that say where, what and what instead."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data_factories import spec_document
from trainer.base.errors import SpecError
from trainer.spec.methods import METHODS
from trainer.spec.models import CATALOGUE
from trainer.spec.spec import ExperimentSpec, canonical_json, parse_spec, spec_hash, spec_schema

names = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=20).map(str.strip)
methods = st.one_of(
    st.sampled_from(sorted(METHODS)),
    st.builds(
        lambda prior: {"kind": "balanced_softmax", "prior": prior}, st.sampled_from(["pixel", "region"])
    ),
    st.builds(
        lambda weight, rebalance, scope: {
            "kind": "region_rebalance",
            "lambda": weight,
            "rebalance": rebalance,
            "scope": scope,
        },
        st.floats(0, 10) | st.integers(0, 10),
        st.sampled_from(["balanced_softmax", "none"]),
        st.sampled_from(["image", "batch"]),
    ),
    st.builds(
        lambda both, form: {"kind": "dice", "cross_entropy": both, "form": form},
        st.booleans(),
        st.sampled_from(["region", "mmseg"]),
    ),
)
datasets = st.one_of(
    st.sampled_from(["digit_scenes", "camvid"]),
    st.fixed_dictionaries(
        {"name": st.just("digit_scenes")},
        optional={"train_images": st.integers(50, 50_000), "imbalance": st.floats(1, 200)},
    ),
    st.fixed_dictionaries(
        {"name": st.just("folder"), "root": st.just("/data/x")}, optional={"scale": st.floats(0.01, 1)}
    ),
)
documents = st.fixed_dictionaries(
    {"dataset": datasets, "model": st.sampled_from(["small", {"name": "small"}]), "method": methods},
    optional={
        "name": names,
        "seed": st.integers(0, 2**31 - 1),
        "tags": st.dictionaries(st.from_regex(r"[a-z][a-z0-9_.-]{0,5}", fullmatch=True), names, max_size=3),
        "schedule": st.fixed_dictionaries(
            {}, optional={"iterations": st.integers(1, 10**7), "learning_rate": st.floats(1e-6, 100)}
        ),
        "evaluation": st.fixed_dictionaries({}, optional={"interval": st.none() | st.integers(1, 100)}),
    },
)


def problems(document: object) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_spec(document)
    return [str(problem) for problem in caught.value.problems]


@given(documents)
def test_spec_json_spec(document: dict[str, Any]) -> None:
    """spec → JSON → spec is the same spec with the same hash, through canonical JSON and pydantic's own."""
    spec = parse_spec(document)
    again = parse_spec(json.loads(canonical_json(spec)))
    assert again == spec
    assert ExperimentSpec.model_validate_json(spec.model_dump_json()) == spec
    assert spec_hash(again) == spec_hash(spec)
    assert canonical_json(again) == canonical_json(spec)


@given(documents, st.randoms(use_true_random=False))
def test_key_order_does_not_matter(document: dict[str, Any], random: Any) -> None:
    """Documents that differ in key order have one hash."""
    keys = list(document)
    random.shuffle(keys)
    assert spec_hash(parse_spec({key: document[key] for key in keys})) == spec_hash(parse_spec(document))


def test_defaults() -> None:
    """Three fields suffice; the rest are the values that the documentation names."""
    spec = parse_spec(spec_document(method="region_rebalance"))
    dumped = json.loads(canonical_json(spec))
    assert dumped["method"] == {
        "kind": "region_rebalance",
        "lambda": 0.3,
        "rebalance": "balanced_softmax",
        "scope": "image",
        "projection": None,
        "classifier": "linear",
        "label_smoothing": 0.0,
    }
    assert dumped["schedule"]["crop_size"] == [64, 64]
    assert dumped["schedule"]["learning_rate"] == 0.4
    assert dumped["dataset"]["train_images"] == 1000
    assert dumped["resources"] == {"workers": 1, "gpus_per_worker": 0, "cpus_per_worker": 1}
    assert dumped["name"] == "region_rebalance on digit_scenes"


def test_schedule_comes_from_the_recipe() -> None:
    """Fields left out come from the recipe for the data set, fields given stay."""
    spec = parse_spec(spec_document(dataset="camvid", schedule={"iterations": 7}))
    wanted = CATALOGUE["small"].schedule_for("camvid") | {"iterations": 7}
    assert spec.schedule.model_dump(include=set(wanted)) == wanted


def test_schema_asks_for_one_field() -> None:
    """The JSON schema requires what a person must always send: data set and model may be a recipe's."""
    schema = spec_schema()
    assert schema["required"] == ["method"]
    assert "required" not in schema["$defs"]["Schedule"]


KINDS = ", ".join(f'"{kind}"' for kind in METHODS).replace(', "dice"', ' or "dice"')
DATASETS_OR_OBJECT = (
    'a catalogue name ("digit_scenes", "camvid", "ade20k", "cocostuff164k", "cocostuff10k") or an object'
)
LAMBDA = "0 <= lambda <= 10"
SIDES = "16 <= crop_size[{}] <= 2048"


def rebalance(**fields: object) -> dict[str, object]:
    return {"method": {"kind": "region_rebalance", **fields}}


@pytest.mark.parametrize(
    ("changes", "pointer", "got", "allowed"),
    [
        (rebalance(**{"lambda": -0.1}), "/method/lambda", "-0.1 is below the minimum", LAMBDA),
        (rebalance(**{"lambda": 11}), "/method/lambda", "11 is above the maximum", LAMBDA),
        (rebalance(**{"lambda": float("nan")}), "/method/lambda", "NaN is not a finite number", LAMBDA),
        (rebalance(**{"lambda": "0.3"}), "/method/lambda", '"0.3" is a string', LAMBDA),
        (
            rebalance(region_weight=1),
            "/method/region_weight",
            "is not a field of this object",
            "the fields kind, lambda, rebalance, scope, projection, classifier, label_smoothing",
        ),
        ({"method": {"kind": "nonsense"}}, "/method/kind", '"nonsense" is not known', KINDS),
        ({"method": {}}, "/method/kind", "is missing", KINDS),
        (
            {"model": "huge"},
            "/model",
            '"huge" is not known',
            'a catalogue name ("small") or an object with name, mmseg or config',
        ),
        ({"model": {"name": "huge"}}, "/model/name", '"huge" is not known', '"small"'),
        (
            {"model": {}},
            "/model",
            "has neither name, mmseg nor config",
            "one of name, mmseg and config",
        ),
        (
            {"model": {"name": "small", "mmseg": "x"}},
            "/model",
            "has name and mmseg together",
            "one of name, mmseg and config",
        ),
        (
            {"dataset": 5},
            "/dataset",
            "5 is an integer",
            DATASETS_OR_OBJECT,
        ),
        ({"dataset": "folder"}, "/dataset", '"folder" needs root too', "an object with root"),
        (
            {"dataset": {"name": "folder", "root": ""}},
            "/dataset/root",
            '"" is too short',
            "a string of 1 to 4096 characters",
        ),
        (
            {"schedule": {"iterations": 0}},
            "/schedule/iterations",
            "0 is below the minimum",
            "an integer, 1 <= iterations <= 10000000",
        ),
        ({"schedule": 3}, "/schedule", "3 is an integer", "an object"),
        (
            {"schedule": {"crop_size": [4096, 64]}},
            "/schedule/crop_size/0",
            "4096 is above the maximum",
            f"an integer, {SIDES.format(0)}",
        ),
        (
            {"schedule": {"crop_size": [64, True]}},
            "/schedule/crop_size/1",
            "true is a boolean",
            f"an integer, {SIDES.format(1)}",
        ),
        ({"schedule": {"crop_size": [64]}}, "/schedule/crop_size", "has 1 item", "a list of 2 items"),
        (
            {"schedule": {"crop_size": [65, 64]}},
            "/schedule/crop_size/0",
            "65 is above the height of every picture, 64",
            "16 to 64",
        ),
        (
            {"resources": {"workers": 3}},
            "/schedule/batch_size",
            "16 does not divide among 3 workers",
            "a multiple of /resources/workers (3)",
        ),
        (
            {"resources": {"gpus_per_worker": 0.3}},
            "/resources/gpus_per_worker",
            "0.3 is not a multiple of the step",
            "0 <= gpus_per_worker <= 1, in steps of 0.125",
        ),
        (
            {"evaluation": {"modes": ["triple_scale"]}},
            "/evaluation/modes/0",
            '"triple_scale" is not known',
            '"single_scale", "multi_scale", "multi_scale_native" or an object with name',
        ),
        (
            {"evaluation": {"interval": 0}},
            "/evaluation/interval",
            "0 is below the minimum",
            "an integer, interval >= 1 or null",
        ),
        (
            {"evaluation": {"group_boundaries": [0.5, 0.5]}},
            "/evaluation/group_boundaries",
            "0.5 is not below 0.5",
            "two shares above 0 and below 1, the first below the second",
        ),
        ({"seed": None}, "/seed", "is null", "an integer, 0 <= seed <= 2147483647"),
        (
            {"tags": {"a/b": "x"}},
            "/tags/a~1b",
            "is not a key that may be used",
            "a string of 1 to 100 characters matching ^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        ),
    ],
)
def test_messages(changes: dict[str, Any], pointer: str, got: str, allowed: str) -> None:
    """Every refusal names the place, what was wrong and what is allowed, once, in words of JSON."""
    assert problems(spec_document(**changes)) == [f"{pointer}: {got}; allowed: {allowed}"]


@pytest.mark.parametrize("document", [None, 5, "baseline", [], [{}]])
def test_not_an_object(document: object) -> None:
    """A document that is no object is refused as a whole."""
    [text] = problems(document)
    assert text.startswith("(document): ")
    assert text.endswith("allowed: an object")


def test_all_problems_at_once() -> None:
    """Mistakes in several places come back together, and none twice."""
    found = problems({"dataset": "x", "model": "y", "schedule": {"iterations": 0}, "seed": -1, "extra": 1})
    pointers = [text.split(": ")[0] for text in found]
    assert pointers == ["/dataset", "/model", "/method", "/schedule/iterations", "/seed", "/extra"]


def test_no_words_of_the_library() -> None:
    """Messages speak of JSON, not of the library that checked it."""
    junk: list[object] = [None, True, 0, 1.5, "", "x" * 300, [], [1], {}, {"name": 1}, {"kind": []}]
    fields = ["name", "dataset", "model", "method", "schedule", "resources", "evaluation", "seed", "tags"]
    for field in fields:
        for value in junk:
            try:
                parse_spec(spec_document(**{field: value}))
            except SpecError as error:
                text = str(error).lower()
                for word in ("pydantic", "dict", "instance", "tuple", "input", "none", "union", "literal"):
                    assert word not in text.replace('"none"', ""), text


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(any_json)
def test_any_json_is_refused_in_order(value: object) -> None:
    """Whatever JSON stands in a field, the answer is a spec or a SpecError that can be written as UTF-8."""
    for field in ("dataset", "method", "schedule", "tags", "evaluation"):
        try:
            parse_spec(spec_document(**{field: value}))
        except SpecError as error:
            str(error).encode()


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("a\nb", "has U+000A, a control character"),
        ("a\x85b", "has U+0085, a control character"),
        ("a\u202eb", "has U+202E, right-to-left override"),
        ("a\u2067b", "has U+2067, right-to-left isolate"),
        ("\u200f", "has U+200F, right-to-left mark"),
        ("a\u200b", "has U+200B, zero width space"),
        ("a\u2028b", "has U+2028, line separator"),
        ("\ufeffa", "has U+FEFF, zero width no-break space"),
        ("\U000e0041", "has U+E0041, tag latin capital letter a"),
        ("  ", "begins or ends with a blank"),
        ("\u3000a", "begins or ends with a blank"),
    ],
)
def test_names_and_tags_can_be_seen(text: str, got: str) -> None:
    """What turns letters around, breaks a line or cannot be seen is refused by its code point."""
    words = "without control and invisible characters, nor a blank at an end"
    for field, pointer, most in (({"name": text}, "/name", 200), ({"tags": {"a": text}}, "/tags/a", 500)):
        wanted = f"{pointer}: {got}; allowed: a string of at most {most} characters {words}"
        assert problems(spec_document(**field)) == [wanted]


@pytest.mark.parametrize("name", ["Größe λ=0.1", "日本語", "a b", "💡", "a\u00a0b", "/x", ""])
def test_names_in_any_language_are_taken(name: str) -> None:
    """Letters, signs, pictures, and blanks inside."""
    assert parse_spec(spec_document(name=name)).name == (name or "baseline on digit_scenes")


def test_a_problem_is_one_line() -> None:
    """Hidden characters of what was sent are told as escapes, in keys and in values."""
    found = problems(spec_document(**{"a\nb\u202e": 1, "model": "x\x9b\u2029\x7f"}))
    assert all(text.isprintable() for text in found)
    assert found[0].startswith('/model: "x\\u009b\\u2029\\u007f" is not known')
    assert found[1].startswith("/a\\u000ab\\u202e: is not a field")


def test_lone_surrogates_can_be_answered() -> None:
    """Text that JSON can spell but UTF-8 cannot is refused in a message that UTF-8 can."""
    for document in (
        spec_document(name="\ud800"),
        spec_document(**{"\ud800": 1}),
        spec_document(model="\udfff"),
    ):
        "; ".join(problems(document)).encode()


def test_very_many_mistakes_make_a_short_answer() -> None:
    """100,000 unknown fields are not all told."""
    found = problems(spec_document(**{f"f{number}": 0 for number in range(2000)}))
    assert len(found) == 51
    assert "1950 more problems" in found[-1]


def test_errors_pickle() -> None:
    """A SpecError keeps its problems through pickle."""
    with pytest.raises(SpecError) as caught:
        parse_spec({})
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


@pytest.mark.parametrize(
    ("document", "known"),
    [
        (
            {"dataset": "digit_scenes", "model": "small", "method": "region_rebalance"},
            "db6fdd351b480294d6dde4f44453539b9a8a68d61f3987d717c003e5206c61c9",
        ),
        (
            {
                "dataset": {"name": "folder", "root": "/data/x"},
                "model": "small",
                "method": "dice",
                "schedule": {"iterations": 7},
            },
            "40ca4210534cf38ec87375b8a782684c442470257d070d09019888094b3d2a83",
        ),
    ],
)
def test_later_words_leave_old_hashes_alone(document: dict[str, Any], known: str) -> None:
    """Specs from before a word keep their hash, and so their checkpoints; also where its default is given."""
    assert spec_hash(parse_spec(document)) == known
    schedule = {**document.get("schedule", {}), "accumulate": 1, "precision": "float32", "betas": None}
    assert spec_hash(parse_spec({**document, "schedule": schedule})) == known
    assert spec_hash(parse_spec({**document, "schedule": {**schedule, "ema": 0.9}})) != known
    assert spec_hash(parse_spec({**document, "augmentation": {"photometric": False}})) != known
