"""The files that put a server somewhere say what the program does, and nothing that it does not."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.catalogue import catalogue
from config.settings import ALIASES, Settings

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
MANIFESTS: list[dict[str, Any]] = [
    document
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
PATHS = ("/health", "/ready", "/metrics", "/api/admin/")

KNOWN_VARIABLES = {
    *(f"GLASSHOUSE_{name.upper().replace('.', '_')}" for name in catalogue()),
    *(name for names in ALIASES.values() for name in names),
}


def manifest(kind: str) -> dict[str, Any]:
    (found,) = [document for document in MANIFESTS if document["kind"] == kind]
    return found


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = manifest("StatefulSet")["spec"]["template"]["spec"]
    return spec


def test_every_variable_that_is_set_is_a_setting() -> None:
    given = {
        *COMPOSE["services"]["glasshouse"]["environment"],
        *manifest("ConfigMap")["data"],
        *re.findall(r"^ +(GLASSHOUSE_[A-Z_]+)=", DOCKERFILE, re.MULTILINE),
        *re.findall(
            r"--from-literal=([A-Z_]+)=", (DEPLOY / "kubernetes/configuration.yaml").read_text("utf-8")
        ),
    }

    assert given
    assert set() == given - KNOWN_VARIABLES


def test_every_file_that_the_image_copies_is_there() -> None:
    for source in re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE):
        assert (ROOT / source).exists()
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").split()
    assert {"requirements.lock", "config", "README.md"}.isdisjoint(ignored)


def test_nobody_is_root_and_nothing_but_the_data_is_written() -> None:
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    security, container = pod()["securityContext"], pod()["containers"][0]

    assert int(user) == security["runAsUser"] == security["fsGroup"] != 0
    assert security["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert ["ALL"] == container["securityContext"]["capabilities"]["drop"]
    assert not container["securityContext"]["allowPrivilegeEscalation"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    (data,) = re.findall(r"GLASSHOUSE_DATA=(\S+)", DOCKERFILE)
    assert data in mounts
    assert COMPOSE["services"]["glasshouse"]["read_only"]
    assert f"glasshouse:{data}" in COMPOSE["services"]["glasshouse"]["volumes"]


def test_the_port_is_the_servers_everywhere() -> None:
    port = Settings().port

    assert [str(port)] == re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)
    assert port == pod()["containers"][0]["ports"][0]["containerPort"]
    assert port == manifest("Service")["spec"]["ports"][0]["port"]
    assert port == manifest("NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"]
    assert f"reverse_proxy glasshouse:{port}" in (DEPLOY / "Caddyfile").read_text("utf-8")
    assert f"'127.0.0.1', {port}" in DOCKERFILE


def test_whoever_stops_a_server_waits_for_its_orderly_end() -> None:
    longest_s = Settings().keeper.stop_s

    assert pod()["terminationGracePeriodSeconds"] > longest_s
    assert float(COMPOSE["services"]["glasshouse"]["stop_grace_period"].removesuffix("s")) > longest_s
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE


def test_the_probes_ask_what_is_there_and_never_end_an_overloaded_server() -> None:
    container = pod()["containers"][0]

    assert "/health" == container["startupProbe"]["httpGet"]["path"]
    assert "/ready" == container["readinessProbe"]["httpGet"]["path"]
    assert "livenessProbe" not in container
    assert manifest("Service")["spec"]["publishNotReadyAddresses"], "who has a session gets back in"
    assert "'/health'" in DOCKERFILE


def test_one_server_and_no_more() -> None:
    assert 1 == manifest("StatefulSet")["spec"]["replicas"]
    assert 1 == manifest("PodDisruptionBudget")["spec"]["maxUnavailable"]


def test_the_workflow_tests_scans_and_publishes() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/build.yaml").read_text("utf-8"))["jobs"]

    assert {"test", "docs", "audit", "image"} == set(jobs)
    assert {"run": "./run test"} in jobs["test"]["steps"]
    audits = " ".join(step.get("run", "") for step in jobs["audit"]["steps"])
    assert all(audit in audits for audit in ("pip-audit", "npm audit"))
    assert ["test", "audit"] == jobs["image"]["needs"]
    assert [f"3.{minor}" for minor in (11, 13)] == jobs["test"]["strategy"]["matrix"]["python"]


def test_kustomize_makes_the_manifests() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        [kubectl, "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True, check=True, timeout=30
    )

    made = [document for document in yaml.safe_load_all(done.stdout) if document]
    kinds = {document["kind"] for document in MANIFESTS} - {"Kustomization"}
    assert kinds == {document["kind"] for document in made}
    assert all(
        document["metadata"].get("namespace") == "glasshouse"
        for document in made
        if document["kind"] != "Namespace"
    )
