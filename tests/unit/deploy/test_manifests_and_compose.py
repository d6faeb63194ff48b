"""Every image, command, port and variable of deploy/kuberay is one that docker-compose.yml has."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.paths import ROOT
from tests.unit.deploy.kustomized import Document, Pod, pods, the

COMPOSE, COMPOSE_GPU = ROOT / "docker-compose.yml", ROOT / "deploy/compose.gpu.yml"
TWINS = {  # which of compose's services a pod is
    "service": "service",
    "mlflow": "mlflow",
    "postgres": "postgres",
    "s3": "s3",
    "ray-head": "ray-head",
    "ray-cpu": "ray-worker",
    "ray-gpu": "ray-worker",
}
OWN_VALUES = {  # of variables whose text is each deployment's own
    "REBALANCE_ALLOWED_HOSTS",
    "REBALANCE_MLFLOW_PUBLIC_URL",
    "REBALANCE_MAX_CLUSTER",
    "REBALANCE_MAX_RUNNING",
    "MLFLOW_SERVER_ALLOWED_HOSTS",
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_AUTH_DATABASE_URI",
    "MLFLOW_S3_ENDPOINT_URL",
}
HEAD = "http://rebalance-head-svc:8265"  # KubeRay names the head's Service after the cluster
RAY_PROBE = ("/api/healthz", 52365)  # what kubelet asks without a token; compose asks the same agent
Rendered = Callable[[str], list[Document]]


def _filled(text: str) -> str:
    """Compose's text with the default of each variable, the innermost first."""
    while (changed := re.sub(r"\$\{\w+(?::?[-?]([^${}]*))?\}", lambda found: found[1] or "", text)) != text:
        text = changed
    return text


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Its services, defaults filled in; `ray-worker-gpu` is a worker below compose.gpu.yml."""
    if not COMPOSE.exists():
        pytest.skip("docker-compose.yml is not here")
    services: dict[str, Any] = yaml.safe_load(_filled(COMPOSE.read_text()))["services"]
    over = yaml.safe_load(_filled(COMPOSE_GPU.read_text()))["services"]["ray-worker"]
    under = services["ray-worker"]
    environment = under["environment"] | over["environment"]
    services["ray-worker-gpu"] = under | over | {"environment": environment}
    return services


@pytest.fixture(params=["overlays/cpu", "overlays/gpu", "sweep"])
def found(request: pytest.FixtureRequest, rendered: Rendered) -> list[Pod]:
    return pods(rendered(request.param))


def _twin(compose: dict[str, Any], pod: Pod) -> Document:
    twin: Document = compose["ray-worker-gpu" if pod.name == "ray-gpu" else TWINS[pod.name]]
    return twin


def test_images(compose: dict[str, Any], found: list[Pod]) -> None:
    """Ours by name and tag, others' by their digest too."""
    cuda = any(pod.name == "ray-gpu" for pod in found)  # then all of Ray's nodes have its image
    for pod in found:
        twin = compose["ray-worker-gpu"] if cuda and pod.name.startswith("ray-") else _twin(compose, pod)
        assert {each["image"] for each in pod.containers} == {twin["image"]}, pod.name
        assert pod.spec["securityContext"]["runAsUser"] == int(twin["user"].split(":")[0])


def test_variables(compose: dict[str, Any], found: list[Pod]) -> None:
    """Each is one of compose's, with the same text, but for those that are a deployment's own."""
    for pod in found:
        twin = _twin(compose, pod).get("environment", {})
        for each in (each for container in pod.containers for each in container.get("env", [])):
            assert each["name"] in twin, f"{pod.name}: {each['name']}"
            if each["name"] not in OWN_VALUES:
                wanted = HEAD if each["name"] == "REBALANCE_RAY_ADDRESS" else str(twin[each["name"]])
                assert each["value"] == wanted, f"{pod.name}: {each['name']}"


def test_what_compose_sets_is_set(compose: dict[str, Any], found: list[Pod]) -> None:
    """No variable was forgotten; Ray's token is KubeRay's to set (authOptions), its ports it leaves alone."""
    kuberays = {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "AUTOSCALER_METRIC_PORT", "DASHBOARD_METRIC_PORT"}
    for pod in found:
        twin = _twin(compose, pod)
        there = {each["name"] for each in pod.spec["containers"][0].get("env", [])}
        wanted = {name for name, value in twin.get("environment", {}).items() if value not in ("", None)}
        if pod.name.startswith("ray-"):
            wanted -= kuberays | {"NVIDIA_DRIVER_CAPABILITIES"}  # the device plugin's
        if pod.name in ("ray-gpu", "ray-cpu"):
            wanted -= {"RAY_JOB_STOP_WAIT_TIME_S"}  # of the head
        assert wanted <= there, pod.name


def test_commands(compose: dict[str, Any], found: list[Pod]) -> None:
    """Each is one of compose's, word for word; what KubeRay adds to `ray start` has compose's numbers."""
    for pod in found:
        twin = _twin(compose, pod)
        if pod.name.startswith("ray-"):
            assert all("command" not in each for each in pod.spec["containers"]), "KubeRay writes them"
            continue
        known = _commands([*twin.get("entrypoint", []), *(twin.get("command") or [])])
        for each in pod.containers:
            words = [*each.get("command", []), *each.get("args", [])]
            assert words in known if words else pod.name == "postgres", pod.name


def _commands(words: list[str]) -> list[list[str]]:
    """What a shell's line runs one after another, or the one command that it is."""
    if words[:2] != ["sh", "-c"]:
        return [words]
    return [part.removeprefix("exec ").split() for part in words[2].split(" && ")]


def test_flags_of_ray(compose: dict[str, Any], rendered: Rendered) -> None:
    """Those that the cluster names are compose's, and so are its ports."""
    cluster = the(rendered("overlays/gpu"), "RayCluster")["spec"]
    groups = [("ray-head", cluster["headGroupSpec"])]
    groups += [("ray-worker", each) for each in cluster["workerGroupSpecs"]]
    for name, group in groups:
        flags = dict(
            word.removeprefix("--").split("=", 1) for word in compose[name]["command"] if "=" in word
        )
        for flag, value in group["rayStartParams"].items():
            assert flags[flag] == value, f"{name}: {flag}"
        (container,) = group["template"]["spec"]["containers"]
        assert {str(each["containerPort"]) for each in container["ports"]} <= set(flags.values())
        asked = container["livenessProbe"]["httpGet"]
        assert (asked["path"], asked["port"]) == RAY_PROBE
        assert flags["dashboard-agent-listen-port"] == str(RAY_PROBE[1])


def test_ports(compose: dict[str, Any], rendered: Rendered) -> None:
    """What a Service leads to is what compose's twin listens on, as its check or its variables say."""
    documents = rendered("overlays/cpu")
    for service in (each for each in documents if each["kind"] == "Service"):
        twin = compose[service["metadata"]["name"]]
        told = yaml.safe_dump([twin.get("environment"), twin.get("command"), twin["healthcheck"]])
        for port in service["spec"]["ports"]:
            assert str(port["port"]) in told or port["port"] == 5432, service["metadata"]["name"]


def test_limits(compose: dict[str, Any], found: list[Pod]) -> None:
    """No pod has less memory than its twin in compose."""
    units = {"m": 2**20, "g": 2**30, "Mi": 2**20, "Gi": 2**30}
    for pod in found:
        given = re.fullmatch(r"(\d+)(\w+)", pod.spec["containers"][0]["resources"]["limits"]["memory"])
        wanted = re.fullmatch(r"(\d+)(\w+)", _twin(compose, pod)["mem_limit"])
        assert given
        assert wanted
        assert int(given[1]) * units[given[2]] >= int(wanted[1]) * units[wanted[2]], pod.name
