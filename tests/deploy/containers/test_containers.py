"""`make deploy-test`: the shipped Dockerfiles and the shipped compose file, as somebody would use them.

Only the base image, the certificate authority and the network of builds are this machine's, and third-party
images are local builds, named as such. The tests read in the order of a deployment's life.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import time

import httpx
import pytest

from tests.deploy.containers import images, scan
from tests.deploy.containers.engine import Engine
from tests.deploy.containers.kept import keep
from tests.deploy.containers.stack import MLFLOW_ADMIN, ContainerWork, Stack, read_inspected
from tests.deploy.hosts.invariants import checked
from tests.deploy.hosts.work import document
from tests.e2e.instance import until
from tests.paths import ROOT

pytestmark = pytest.mark.deploy
ITERATIONS = 600
SERVICE_BYTES = 500_000_000
CHANGE_SECONDS = 60.0  # on two busy cores; some 5 on idle ones
SMOKE_SECONDS = 600.0


@pytest.fixture(scope="module")
def undisturbed(stack: Stack) -> ContainerWork:
    """A training on two containers, left alone."""
    began = time.monotonic()
    work = ContainerWork(stack, document(workers=2, iterations=ITERATIONS))
    work.reached(1)
    assert sorted(work.trains_on()) == sorted(stack.containers("ray-worker"))
    ended = work.ended()
    assert ended.state == "completed", ended.error
    keep("seconds", "two workers, POST to report", round(time.monotonic() - began, 1))
    return work


def test_the_service_is_small(built: Engine) -> None:
    """Less than 500 MB on its base: neither torch nor Ray is in it."""
    own = images.size_of(built, "region-rebalance/service") - images.size_of(built, images.BASE)
    assert own < SERVICE_BYTES
    run = ("run", "--rm", "--network", "none", "region-rebalance/service")
    listed = built.docker(*run, "cat", "/usr/share/licenses/region-rebalance/packages.tsv")
    names = {line.split("\t")[0].lower() for line in listed.splitlines()}
    assert {"fastapi", "region-rebalance"} <= names
    assert not {"torch", "ray", "mlflow"} & names


@pytest.mark.parametrize("name", images.OURS)
def test_an_image_says_what_it_is(built: Engine, name: str) -> None:
    """Its user is not root, its labels name version and revision, and it has its licences."""
    (found,) = json.loads(built.docker("image", "inspect", f"region-rebalance/{name}"))
    assert found["Config"]["User"] == "10001:10001"
    labels = found["Config"]["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.version"] not in ("", "unknown")
    assert labels["org.opencontainers.image.revision"]
    run = ("run", "--rm", "--network", "none", f"region-rebalance/{name}")
    told = built.docker(
        *run, "sh", "-c", "cd /usr/share/licenses/region-rebalance && cat LICENSE packages.tsv"
    )
    assert "Apache License" in told
    assert "unknown revision" not in told


def test_a_change_of_the_code_builds_little_again(built: Engine) -> None:
    """The libraries stay; and no secret that lies in the checkout beside the code gets into a layer."""
    marker = "a-secret-that-lies-in-the-checkout"
    with images.changed_checkout(built, marker) as checkout:
        for name in images.OURS:
            image, seconds = images.rebuilt(built, name, checkout)
            keep("seconds", f"{name} after a change of the code", round(seconds, 1))
            assert seconds < CHANGE_SECONDS
            assert not scan.layers_tell(built, image, {"marker": marker})
            built.docker("image", "rm", image)


def test_up_and_one_token(stack: Stack) -> None:
    """Everything is well; nobody comes in without the token; MLflow asks for its log-in."""
    with stack.client() as client:
        assert client.ready().status == "ok"
    with stack.client(token="") as nobody, pytest.raises(Exception, match="Bearer TOKEN"):
        list(nobody.experiments())
    with stack.mlflow_http() as http:
        wrong = (MLFLOW_ADMIN, "wrong")
        assert http.get("/experiments/search", params={"max_results": 1}).status_code == 200
        assert http.get("/experiments/search", params={"max_results": 1}, auth=wrong).status_code == 401


def test_smoke(stack: Stack) -> None:
    """deploy/smoke.sh, the same as for every other deployment."""
    done = subprocess.run(
        ["sh", ROOT / "deploy" / "smoke.sh", stack.url, "--mlflow", stack.mlflow_url],
        env={
            "PATH": stack.engine.environment["PATH"],
            "REBALANCE_TOKEN": stack.secrets()["token"],
            "MLFLOW_TRACKING_USERNAME": MLFLOW_ADMIN,
            "MLFLOW_TRACKING_PASSWORD": stack.secret("mlflow_admin_password"),
        },
        capture_output=True,
        text=True,
        timeout=SMOKE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    keep("seconds", "smoke test", json.loads(done.stdout)["seconds"])


def test_two_workers_in_two_containers(undisturbed: ContainerWork) -> None:
    """One rank in each; the report is whole."""
    assert undisturbed.report().result is not None


@pytest.mark.parametrize("service", ["ray-worker", "ray-head"])
def test_a_crash_costs_time_and_nothing_else(stack: Stack, undisturbed: ContainerWork, service: str) -> None:
    """A worker, then the head, is killed in mid-training: nothing is lost or doubled, weights are equal."""
    stack.whole()
    work = ContainerWork(stack, document(workers=2, iterations=ITERATIONS))
    work.reached(ITERATIONS // 4)
    began = time.monotonic()
    stack.crash(stack.containers(service)[-1])
    until(lambda: len(work.attempts) > 1 and work.steps(2), seconds=300, what="the next attempt trains")
    resumed = time.monotonic() - began
    counts = checked(work, undisturbed)
    keep("faults", f"{service} killed", {"resumed_seconds": round(resumed, 1), **counts})
    assert counts["attempts"] == 2


def test_no_secret_is_told(stack: Stack) -> None:
    """Not by `docker inspect`, command lines, logs, or run directories; their files are what has them."""
    secrets, containers = stack.secrets(), stack.containers()
    assert scan.told_in(json.dumps(read_inspected(stack.engine, containers)), secrets) == []
    assert (
        scan.told_in("\n".join(line for each in containers for line in stack.processes(each)), secrets) == []
    )
    assert scan.told_in(stack.compose("logs", "--no-color"), secrets) == []
    assert scan.files_that_tell(stack.storage.root, secrets) == []
    for each in (*stack.containers("ray-head"), *stack.containers("ray-worker")):
        logs = stack.engine.folder / f"logs-{each}"
        with logs.open("w", encoding="utf-8") as file:
            file.write(stack.engine.docker("exec", each, "sh", "-c", "cat /tmp/ray/session_*/logs/*.*"))
        assert scan.files_that_tell(logs, secrets) == []
        logs.unlink()


def test_a_container_reaches_the_documented_ports_and_no_other(stack: Stack) -> None:
    """Each network is scanned by a container that is on no other; a documented single port is open."""
    documented = scan.documented_ports()
    for network, services in scan.open_ports(stack).items():
        for service, ports in services.items():
            assert ports <= documented[service], (
                f"{service} on {network}: {sorted(ports - documented[service])}"
            )
    assert set(documented) == set(stack.compose("config", "--services").split())


def test_nothing_can_be_written_beside_the_volumes(stack: Stack) -> None:
    """The root is read-only, and no process is root's."""
    for each in stack.containers():
        tried = "touch /here 2>/dev/null || echo refused; id -u"
        refused, user = stack.engine.docker("exec", each, "sh", "-c", tried).split()
        assert refused == "refused"
        assert int(user) > 0


def test_https_by_an_overlay(stack: Stack) -> None:
    """Both ports speak it, with the certificate that was given, and no longer http; the rest goes on."""
    others = set(stack.containers()) - set(stack.containers("proxy"))
    before = {each: stack.started_at(each) for each in others}
    certificate = stack.folder / "certificate.pem"
    words = "openssl req -x509 -newkey ed25519 -nodes -days 1 -subj /CN=localhost"
    words += " -addext subjectAltName=IP:127.0.0.1"
    with certificate.open("wb") as file:
        command = [*words.split(), "-keyout", "-", "-out", "-"]
        subprocess.run(command, stdout=file, stderr=subprocess.DEVNULL, check=True, timeout=20)
    stack.up(overlay="deploy/compose.tls.yml", TLS_CERTIFICATE_FILE=str(certificate))
    trusting = ssl.create_default_context(cafile=str(certificate))
    for url, path in ((stack.url, "/healthz"), (stack.mlflow_url, "/health")):
        answer = httpx.get(url.replace("http:", "https:") + path, verify=trusting, trust_env=False)
        assert answer.status_code == 200
        assert "max-age" in answer.headers["Strict-Transport-Security"]
        with pytest.raises(httpx.HTTPError):
            httpx.get(url + path, trust_env=False).raise_for_status()
    assert {each: stack.started_at(each) for each in before} == before


def test_down_leaves_nothing(stack: Stack) -> None:
    """No container, volume, network, process, mount; the images stay."""
    began = time.monotonic()
    stack.down()
    keep("seconds", "down", round(time.monotonic() - began, 1))
    assert stack.engine.left() == {"containers": [], "volumes": [], "networks": []}
    engine = {"docker-init", "dockerd", "containerd"}
    until(lambda: set(stack.engine.processes()) == engine, seconds=20, what="all else has ended")
    assert [each for each in stack.engine.mounts() if "/overlay2/" in each or "/containers/" in each] == []
