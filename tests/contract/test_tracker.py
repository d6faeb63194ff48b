"""The tracker port: one suite for the fake and for MLflow on a real SQLite store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest

from trainer.storage.posix import PosixFile
from trainer.storage.tracking import Trouble
from trainer.tracking import mlflow_compat
from trainer.tracking.content.datasets import TrackedDataset
from trainer.tracking.content.overlays import Drawn
from trainer.tracking.content.trained import Scored, TrainedModel
from trainer.tracking.content.views import View
from trainer.tracking.mlflow_tracker import MlflowTracker
from trainer.tracking.server.views_compat import SHARED_VIEW, VIEW_KEY
from trainer.tracking.tracker import Opened, Point, RunIds, RunInfo, Tracker, open_noted
from trainer.tracking.trouble import TrackerError


class Server(Protocol):
    """A tracking server, and what people do to it in its interface."""

    def connect(self) -> Tracker: ...

    def read(self, run_id: str) -> dict[str, Any]:
        """status, group, params, tags, metrics, files, tables, models, trained, datasets, images, views."""

    def delete_run(self, ids: RunIds) -> None: ...

    def delete_group(self, ids: RunIds) -> None: ...

    def empty_bin(self, ids: RunIds) -> None:
        """After `delete_run`: nothing is left of it."""


@dataclass
class FakeServer:
    """Runs and groups in memory."""

    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    groups: dict[str, str] = field(default_factory=dict)

    def connect(self) -> Tracker:
        return FakeTracker(self)

    def read(self, run_id: str) -> dict[str, Any]:
        assert not {run_id, self.runs[run_id]["group"]} & self.deleted
        return self.runs[run_id]

    def delete_run(self, ids: RunIds) -> None:
        self.deleted.add(ids.run_id)

    def delete_group(self, ids: RunIds) -> None:
        self.deleted.add(ids.experiment_id)

    def empty_bin(self, ids: RunIds) -> None:
        del self.runs[ids.run_id]


_NUMBERS = count()


class FakeTracker:
    """The port in memory."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._id = ""

    def open(self, info: RunInfo) -> Opened:
        runs, groups = self._server.runs, self._server.groups
        parent = runs.get(info.tags.get(mlflow_compat.PARENT_RUN, ""))
        group = parent["group"] if parent else groups.setdefault(info.group, f"g{len(groups)}")
        made = [each for each, run in runs.items() if info.maybe_made and run["key"] == info.key]
        self._id = info.run_id if info.run_id in runs else next(iter(made), f"run{next(_NUMBERS)}")
        fresh: dict[str, Any] = {
            "params": {},
            "tags": {},
            "metrics": {},
            "files": set(),
            "tables": {},
            "models": {},
            "trained": {},
            "datasets": {},
            "images": set(),
            "views": [],
        }
        run = runs.setdefault(self._id, {**fresh, "key": info.key, "group": group})
        run["params"] = {**info.params, **run["params"]}
        run["tags"] = {**info.tags, **run["tags"]}
        if "status" not in run or not info.as_it_stands:
            run["status"] = "RUNNING"
        restored = {self._id, run["group"]} & self._server.deleted
        self._server.deleted -= restored
        replaced = info.run_id not in (None, self._id)
        return Opened(RunIds(self._id, run["group"]), bool(restored), replaced)

    def log_points(self, points: Any, run_id: str | None = None) -> None:
        metrics = self._alive(run_id or self._id)["metrics"]
        for step, _, values in points:
            for name, value in values.items():
                known = metrics.setdefault(name, [])
                if (step, value) not in known:
                    known.append((step, value))

    def log_tables(self, tables: Any) -> None:
        for name, columns in tables.items():
            self._run["files"].add(f"{name}.json")
            rows = [list(row) for row in zip(*columns.values(), strict=True)]
            self._run["tables"][name] = {"columns": list(columns), "data": rows}

    def log_images(self, images: Any, *, step: int, unix_seconds: float) -> None:
        self._run["images"] |= {(each.key, step) for each in images}

    def log_trained(self, model: TrainedModel, scored: Any, datasets: Any = ()) -> None:
        for each in (*datasets, *(one.dataset for one in scored)):
            self._run["datasets"][each.name] = (each.context, each.digest)
        here = self._run["trained"].setdefault(model.name, {"params": dict(model.params), "metrics": {}})
        for one in scored:
            self.log_points([Point(one.step, one.unix_seconds, one.values)])
            here["metrics"] |= {name: (value, one.dataset.name) for name, value in one.values.items()}

    def show_view(self, view: View) -> None:
        if view.key not in self._run["views"]:
            self._run["views"].append(view.key)

    def log_file(self, path: Path, folder: str = "") -> None:
        self._run["files"].add(f"{folder}/{path.name}" if folder else path.name)

    def log_model(self, folder: Path, name: str) -> None:
        self._run["models"][name] = {file.name for file in folder.iterdir()}

    def close(self, status: str) -> None:
        self._run["status"] = status

    @property
    def _run(self) -> dict[str, Any]:
        return self._alive(self._id)

    def _alive(self, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self._server.runs[run_id]
        if {run_id, run["group"]} & self._server.deleted:
            raise TrackerError("current state is deleted", Trouble.DELETED)
        return run


class MlflowOnFile:
    """MLflow's own store."""

    def __init__(self, directory: Path) -> None:
        self._uri = f"sqlite:///{directory}/mlflow.db"

    @property
    def _client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self._uri)

    def connect(self) -> Tracker:
        return MlflowTracker(self._uri)

    def delete_run(self, ids: RunIds) -> None:
        self._client.delete_run(ids.run_id)

    def delete_group(self, ids: RunIds) -> None:
        self._client.delete_experiment(ids.experiment_id)

    def empty_bin(self, ids: RunIds) -> None:
        from mlflow.tracking._tracking_service.utils import _get_store

        _get_store(self._uri)._hard_delete_run(
            ids.run_id
        )  # as `mlflow gc` does, which takes most of a minute

    def read(self, run_id: str) -> dict[str, Any]:
        client = self._client
        run = client.get_run(run_id)
        assert run.info.lifecycle_stage == "active"
        assert client.get_experiment(run.info.experiment_id).lifecycle_stage == "active"
        found = [file.path for file in client.list_artifacts(run_id)]
        inner = [file.path for folder in found for file in client.list_artifacts(run_id, folder)]
        told = json.loads(run.data.tags.get("mlflow.loggedArtifacts", "[]"))
        group = client.get_experiment(run.info.experiment_id)
        images = [Path(name).stem.split("+") for name in inner if name.startswith("images/")]
        return {
            "status": run.info.status,
            "group": run.info.experiment_id,
            "params": run.data.params,
            "tags": run.data.tags,
            "metrics": {
                name: [(point.step, point.value) for point in client.get_metric_history(run_id, name)]
                for name in run.data.metrics
            },
            "files": {*found, *inner},
            "tables": {
                each["path"].removesuffix(".json"): json.loads(
                    Path(client.download_artifacts(run_id, each["path"])).read_text()
                )
                for each in told
            },
            "models": self._models(run),
            "trained": self._trained(run),
            "datasets": {
                each.dataset.name: (each.tags[0].value, each.dataset.digest)
                for each in run.inputs.dataset_inputs
            },
            "images": {(parts[0].replace("~", "/"), int(parts[2])) for parts in images},
            "views": [
                key
                for key in (name.removeprefix(SHARED_VIEW) for name in group.tags if SHARED_VIEW in name)
                if run.data.tags.get(mlflow_compat.NOTE, "").count(f"{VIEW_KEY}={key})") == 1
            ],
        }

    def _models(self, run: Any) -> dict[str, set[str]]:
        """Files of the run's models that have some, by name."""
        client = self._client
        found = self._made_by(run)
        files = {each.name: client.list_logged_model_artifacts(each.model_id) for each in found}
        return {name: {file.path for file in listed} for name, listed in files.items() if listed}

    def _trained(self, run: Any) -> dict[str, Any]:
        """Parameters and scores of the run's models without files, by name; each is ready, and an output."""
        found = {}
        for each in self._made_by(run):
            if not self._client.list_logged_model_artifacts(each.model_id):
                scores = {one.key: (one.value, one.dataset_name) for one in each.metrics or ()}
                found[each.name] = {"params": each.params, "metrics": scores}
                assert str(each.status) == "READY"
                assert each.model_id in {one.model_id for one in run.outputs.model_outputs}
        return found

    def _made_by(self, run: Any) -> list[Any]:
        """The run's models, no two of one name."""
        wanted = f"source_run_id = '{run.info.run_id}'"
        found = list(self._client.search_logged_models([run.info.experiment_id], wanted))
        assert len({each.name for each in found}) == len(found)
        return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One database for all tests: making its tables takes MLflow some ten seconds."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(params=["fake", pytest.param("mlflow", marks=pytest.mark.integration)])
def server(request: pytest.FixtureRequest, store: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.chdir(store)  # MLflow keeps artifacts where it stands
    return FakeServer() if request.param == "fake" else MlflowOnFile(store)


@pytest.fixture
def make_info(request: pytest.FixtureRequest) -> Callable[..., RunInfo]:
    """Describes a run, in a group of the test's own."""
    params = {"method.kind": "baseline", "long": "x" * 7000}

    def make(run_id: str | None = None, **tags: str) -> RunInfo:
        return RunInfo(
            group=request.node.name,
            name="one",
            params=params,
            tags={"rebalance.experiment": "e1", **tags},
            run_id=run_id,
        )

    return make


Info = Callable[..., RunInfo]
CURVE = [Point(1, 100.0, {"train/loss": 2.5}), Point(2, 101.0, {"train/loss": 1.5, "eval/mIoU": 20.0})]
TABLE = {"class": ["a", "b"], "IoU": [50.0, None]}


def test_a_run_keeps_what_it_is_given(server: Server, make_info: Info, tmp_path: Path) -> None:
    """Parameters, tags, curves by step, tables, files and the final state can be read back."""
    tracker = server.connect()
    run_id = tracker.open(make_info()).ids.run_id
    tracker.log_points(CURVE)
    tracker.log_tables({"per_class": TABLE})
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"state": "completed"}))
    tracker.log_file(report)
    tracker.log_file(report, "attempts/1")
    tracker.close("FINISHED")
    run = server.read(run_id)
    assert run["status"] == "FINISHED"
    assert run["params"]["method.kind"] == "baseline"
    assert run["tags"]["rebalance.experiment"] == "e1"
    assert run["metrics"] == {"train/loss": [(1, 2.5), (2, 1.5)], "eval/mIoU": [(2, 20.0)]}
    assert {"per_class.json", "report.json"} <= run["files"]
    assert run["tables"] == {"per_class": {"columns": ["class", "IoU"], "data": [["a", 50.0], ["b", None]]}}


def test_a_model_sent_twice_is_there_once(server: Server, make_info: Info, tmp_path: Path) -> None:
    """With all that lies in its folder."""
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "MLmodel").write_text("model_uuid: a\n")
    (folder / "README.md").write_text("what it is")
    tracker = server.connect()
    run_id = tracker.open(make_info()).ids.run_id
    for _ in range(2):
        tracker.log_model(folder, "final")
    assert server.read(run_id)["models"] == {"final": {"MLmodel", "README.md"}}


DATASET = TrackedDataset("d-val", "abc", "evaluation", '{"uri": "data:d"}', "{}")
TRAINED = TrainedModel("one", "final", {"seed": "0"}, {"rebalance.checkpoint": "final"})


def test_a_trained_model_is_known_with_its_data(server: Server, make_info: Info) -> None:
    """Its scores are metrics of the run and of the model, on a data set; sent twice it is there once, and
    another checkpoint is another model.
    """
    for _ in range(2):
        tracker = server.connect()
        ids = tracker.open(replace(make_info(), key="k", maybe_made=True)).ids
        train = replace(DATASET, name="d-train", context="training")
        tracker.log_trained(TRAINED, [Scored(5, 100.0, {"mIoU": 40.0}, DATASET)], [train])
    tracker.log_trained(
        replace(TRAINED, name="one, best", key="best"), [Scored(3, 99.0, {"again/mIoU": 41.0}, DATASET)]
    )
    run = server.read(ids.run_id)
    assert run["metrics"] == {"mIoU": [(5, 40.0)], "again/mIoU": [(3, 41.0)]}
    assert run["datasets"] == {"d-val": ("evaluation", "abc"), "d-train": ("training", "abc")}
    assert run["trained"] == {
        "one": {"params": {"seed": "0"}, "metrics": {"mIoU": (40.0, "d-val")}},
        "one, best": {"params": {"seed": "0"}, "metrics": {"again/mIoU": (41.0, "d-val")}},
    }


def test_pictures_lie_side_by_side(server: Server, make_info: Info) -> None:
    """By key and step, each once however often it is sent."""
    tracker = server.connect()
    run_id = tracker.open(make_info()).ids.run_id
    for content in (b"old", b"new"):
        tracker.log_images([Drawn("overlays/a b", content, content)], step=7, unix_seconds=1.5)
    assert server.read(run_id)["images"] == {("overlays/a b", 7)}


def test_charts_are_linked_once(server: Server, make_info: Info) -> None:
    """In the description, beside what a person has written there."""
    run_id = None
    for _ in range(2):
        tracker = server.connect()
        run_id = tracker.open(make_info(run_id, **{mlflow_compat.NOTE: "a sweep"})).ids.run_id
        tracker.show_view(View(key="rebalance-s1", title="Its trials"))
    assert run_id is not None
    assert server.read(run_id)["views"] == ["rebalance-s1"]


def test_a_trial_lies_where_its_parent_does(server: Server, make_info: Info) -> None:
    """Whatever its own group is called: elsewhere it is not shown below it. What is told of it later needs
    its id alone.
    """
    parent = server.connect()
    above = parent.open(make_info()).ids
    below = {mlflow_compat.PARENT_RUN: above.run_id}
    trial = server.connect().open(replace(make_info(**below), group="another")).ids
    assert trial.experiment_id == above.experiment_id
    parent.log_points([Point(5, 100.0, {"delta_mIoU": 1.5})], trial.run_id)
    assert server.read(trial.run_id)["metrics"] == {"delta_mIoU": [(5, 1.5)]}
    assert server.read(above.run_id)["metrics"] == {}


def test_mlflow_means_these_tags() -> None:
    """The names in trainer/tracking/mlflow_compat.py are MLflow's own."""
    from mlflow.utils import mlflow_tags

    assert mlflow_compat.PARENT_RUN == mlflow_tags.MLFLOW_PARENT_RUN_ID
    assert mlflow_compat.NOTE == mlflow_tags.MLFLOW_RUN_NOTE
    assert mlflow_compat.LOGGED_ARTIFACTS == mlflow_tags.MLFLOW_LOGGED_ARTIFACTS
    assert mlflow_compat.LOGGED_IMAGES == mlflow_tags.MLFLOW_LOGGED_IMAGES
    assert mlflow_compat.CONTEXT == mlflow_tags.MLFLOW_DATASET_CONTEXT


def test_mlflow_has_what_asks_its_server_once() -> None:
    """The functions below its public client that `mlflow_words` calls take what they are given."""
    from inspect import signature

    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    options = {"json": {}, "max_retries": 0, "raise_on_status": False, "timeout": 1}
    bound = signature(http_request).bind(get_default_host_creds("http://host"), "/path", "POST", **options)
    assert {"max_retries", "raise_on_status"} <= bound.arguments.keys()


def test_parameters_that_differ_later(server: Server, make_info: Info) -> None:
    """A run opened again with other parameters keeps those that it has, and takes those that are new."""
    first = make_info()
    run_id = server.connect().open(first).ids.run_id
    other = replace(first, run_id=run_id, params={"method.kind": "other", "limits": "2"})
    assert server.connect().open(other).ids.run_id == run_id
    params = server.read(run_id)["params"]
    assert (params["method.kind"], params["limits"]) == ("baseline", "2")


def test_a_run_that_has_ended_takes_more(server: Server, make_info: Info) -> None:
    """Opened as it stands it keeps its status, whatever is sent; opened otherwise it runs again."""
    first = server.connect()
    run_id = first.open(make_info()).ids.run_id
    first.close("FAILED")
    later = server.connect()
    later.open(replace(make_info(run_id), as_it_stands=True))
    later.log_points([Point(4, 100.0, {"again/mIoU": 5.0})])
    run = server.read(run_id)
    assert (run["status"], run["metrics"]["again/mIoU"]) == ("FAILED", [(4, 5.0)])
    server.connect().open(make_info(run_id))
    assert server.read(run_id)["status"] == "RUNNING"


def test_everything_sent_twice_is_there_once(server: Server, make_info: Info) -> None:
    """Points, tables and tags: what catches up may send what was taken already. A tag that somebody has
    changed since stays as it is, but for the run that it lies below.
    """
    first = server.connect()
    run_id = first.open(make_info(**{"mlflow.parentRunId": "p1", "note": "ours"})).ids.run_id
    for tracker in (first, server.connect()):
        tracker.open(make_info(run_id, **{"mlflow.parentRunId": "p1", "note": "theirs"}))
        tracker.log_points(CURVE)
        tracker.log_tables({"per_class": TABLE})
    run = server.read(run_id)
    assert run["metrics"] == {"train/loss": [(1, 2.5), (2, 1.5)], "eval/mIoU": [(2, 20.0)]}
    assert len(run["tables"]["per_class"]["data"]) == 2
    assert run["tags"]["note"] == "ours"


def test_one_run_whoever_dies_when(server: Server, make_info: Info, tmp_path: Path) -> None:
    """A process dies before its run is made, another before it could note it: the third has the same run."""
    note = PosixFile(tmp_path / "mlflow.json")
    note.write('{"key": "k1"}')
    made = open_noted(server.connect(), note, make_info())
    note.write('{"key": "k1"}')
    again = open_noted(server.connect(), note, make_info())
    assert again == made
    assert json.loads(note.read_text()) == {**made.ids._asdict(), "key": "k1"}
    assert server.read(made.ids.run_id)["params"]["method.kind"] == "baseline"
    assert open_noted(server.connect(), note, make_info()) == made
    assert open_noted(server.connect(), PosixFile(tmp_path / "other.json"), make_info()) != made


def test_a_later_attempt_continues_the_run(server: Server, make_info: Info) -> None:
    """Opening by id adds to the run, and sending a point again adds nothing. It stays in the group where it
    was made, whatever its group is called by now.
    """
    first = server.connect()
    ids = first.open(make_info()).ids
    run_id = ids.run_id
    first.log_points(CURVE[:1])
    first.close("FAILED")
    second = server.connect()
    assert second.open(replace(make_info(run_id), group="by another rule")).ids == ids
    assert server.read(run_id)["status"] == "RUNNING"
    second.log_points(CURVE)
    second.close("KILLED")
    run = server.read(run_id)
    assert run["status"] == "KILLED"
    assert run["metrics"] == {"train/loss": [(1, 2.5), (2, 1.5)], "eval/mIoU": [(2, 20.0)]}


@pytest.mark.parametrize("delete", ["delete_run", "delete_group"])
def test_what_was_deleted_is_restored(server: Server, make_info: Info, tmp_path: Path, delete: str) -> None:
    """The run, or all of its group, in the bin: writing fails, opening brings it back as it was."""
    note, first = PosixFile(tmp_path / "mlflow.json"), server.connect()
    made = open_noted(first, note, make_info())
    first.log_points(CURVE[:1])
    getattr(server, delete)(made.ids)
    with pytest.raises(TrackerError) as caught:
        first.log_points(CURVE[1:])
    assert caught.value.kind is Trouble.DELETED
    second = server.connect()
    assert open_noted(second, note, make_info()) == (made.ids, True, False)
    second.log_points(CURVE[1:])
    assert [step for step, _ in server.read(made.ids.run_id)["metrics"]["train/loss"]] == [1, 2]


def test_a_new_run_in_a_deleted_group(server: Server, make_info: Info, tmp_path: Path) -> None:
    """Another experiment on the same data: the group comes back, and the run is there."""
    made = open_noted(server.connect(), PosixFile(tmp_path / "one.json"), make_info())
    server.delete_group(made.ids)
    new = open_noted(server.connect(), PosixFile(tmp_path / "two.json"), make_info())
    assert (new.restored, new.replaced) == (True, False)
    assert new.ids.experiment_id == made.ids.experiment_id
    assert server.read(new.ids.run_id)["status"] == "RUNNING"


def test_what_is_gone_is_made_anew(server: Server, make_info: Info, tmp_path: Path) -> None:
    """Nothing is left of the run: another takes its place, which is said, and noted from then on."""
    note = PosixFile(tmp_path / "mlflow.json")
    made = open_noted(server.connect(), note, make_info())
    server.delete_run(made.ids)
    server.empty_bin(made.ids)
    new = open_noted(server.connect(), note, make_info())
    assert new.replaced
    assert json.loads(note.read_text())["run_id"] == new.ids.run_id
    assert server.read(new.ids.run_id)["params"]["method.kind"] == "baseline"
    assert open_noted(server.connect(), note, make_info()) == (new.ids, False, False)
