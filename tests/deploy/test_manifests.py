"""Manifests agree with their schemas, and with the server that they start."""

import ast
import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import fastjsonschema
import pytest
import yaml

from tests.deploy.commands import Container, containers, pods, ports, read, settings
from tests.deploy.manifests import MANIFESTS, SCHEMAS, Manifest, kind_of, one
from tests.deploy.recipe import DEPLOY, bakes
from tests.documents.running import ROOT
from trtasync.opening.arguments import EngineArguments
from trtasync.server.program.admission import OPEN
from trtasync.server.program.fronts import LAST_SECONDS
from trtasync.server.prometheus.families import families

ALL = [pytest.param(manifest, id=f"{where}:{manifest['kind']}") for where, manifest in MANIFESTS]
SERVERS = [pytest.param(each, id=each.where) for each in containers() if each.serves]
PODS = [
    pytest.param(pod, id=f"{where}:{manifest['kind']}")
    for where, manifest in MANIFESTS
    for pod in pods(manifest)
]
BUDGETS = [
    pytest.param(each, id=each["metadata"]["name"])
    for _, each in MANIFESTS
    if each["kind"] == "PodDisruptionBudget"
]
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def check(manifest: Manifest) -> None:
    """Hold it against its schema."""
    fastjsonschema.compile(json.loads(SCHEMAS.read_text())[kind_of(manifest)])(manifest)


@pytest.mark.parametrize("manifest", ALL)
def test_a_manifest_is_what_its_schema_allows(manifest: Manifest) -> None:
    check(manifest)


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        ("Deployment", "trtasync", "spec.template.spec.terminationGracePeriodSeconds"),
        ("Deployment", "trtasync", "spec.template.spec.containers.0.livenessProbe.httpGet"),
        ("Job", "plan-resnet50", "spec.template.spec.restartPolicy"),
        ("HorizontalPodAutoscaler", "trtasync", "spec.metrics.0.pods.target.averageValue"),
        ("ScaledObject", "trtasync", "spec.triggers.0.metadata"),
        ("ServingRuntime", "trtasync", "spec.supportedModelFormats.0.autoSelect"),
        ("InferenceService", "digits", "spec.predictor.model.storageUri"),
        ("RayService", "trtasync", "spec.rayClusterConfig.workerGroupSpecs.0.groupName"),
    ],
)
def test_schemas_refuse_other_names_and_other_types(kind: str, name: str, path: str) -> None:
    *above, last = path.split(".")
    renamed, retyped = copy.deepcopy(one(kind, name)), copy.deepcopy(one(kind, name))
    place = _at(renamed, above)
    place["x" + last] = place.pop(last)
    _at(retyped, above)[last] = [[]]

    for wrong in (renamed, retyped):
        with pytest.raises(fastjsonschema.JsonSchemaException):
            check(wrong)


def _at(value: Any, path: list[str]) -> Any:
    for name in path:
        value = value[int(name) if isinstance(value, list) else name]
    return value


@pytest.mark.parametrize("container", [pytest.param(each, id=each.where) for each in containers()])
def test_commands_are_what_the_command_line_takes(container: Container) -> None:
    read(container.words)

    assert container.told["image"].removeprefix("trtasync:") in bakes()


@pytest.mark.parametrize("container", SERVERS)
def test_a_server_may_end_before_it_is_killed(container: Container) -> None:
    server = settings(read(container.words))
    doors = len(ports(server))
    longest = server.grace_seconds + doors * server.limits.drain + LAST_SECONDS

    assert _whole(container.pod)["terminationGracePeriodSeconds"] >= longest


def _whole(pod: Manifest) -> Manifest:
    """What is told of a pod beside its containers."""
    if pod is one("ServingRuntime", "trtasync")["spec"]:  # KServe takes it from a runtime's users
        user: Manifest = one("InferenceService", "digits")["spec"]["predictor"]
        return user
    return pod


@pytest.mark.parametrize("pod", PODS)
def test_nobody_has_a_right_or_a_variable_that_it_does_not_need(pod: Manifest) -> None:
    whole = _whole(pod)

    assert whole["automountServiceAccountToken"] is False
    assert whole["enableServiceLinks"] is False
    for container in pod["containers"]:
        rights = pod.get("securityContext", {}) | container["securityContext"]
        assert rights["runAsNonRoot"]
        assert rights["runAsUser"] > 0
        assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("budget", BUDGETS)
def test_those_who_are_not_to_go_at_once_are_not_in_one_place(budget: Manifest) -> None:
    told = [constraint for found in _named("topologySpreadConstraints") for constraint in found]
    spread = [each for each in told if each["labelSelector"] == budget["spec"]["selector"]]

    assert {each["topologyKey"] for each in spread} == {
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    }
    # rather two on a node than none, where GPUs are few
    assert {each["whenUnsatisfiable"] for each in spread} == {"ScheduleAnyway"}


def _named(name: str) -> Iterator[Any]:
    """What a name stands for, wherever it does."""
    inside: list[Any] = [manifest for _, manifest in MANIFESTS]
    while inside:
        value = inside.pop()
        if isinstance(value, dict):
            yield from [value[name]] if name in value else []
        if isinstance(value, dict | list):
            inside += value.values() if isinstance(value, dict) else value


@pytest.mark.parametrize("container", SERVERS)
def test_probes_ask_what_needs_no_token_where_the_server_listens(container: Container) -> None:
    listening = ports(settings(read(container.words)))
    named = {each.get("name"): each["containerPort"] for each in container.told["ports"]}

    assert set(named.values()) == listening
    for probe in PROBES:
        asked = container.told[probe]["httpGet"]
        assert asked["path"].encode() in OPEN
        assert named.get(asked["port"], asked["port"]) in listening


@pytest.mark.parametrize("container", SERVERS)
def test_nobody_is_restarted_before_requests_go_elsewhere(container: Container) -> None:
    unready, dead = (
        _patience(container.told[each]) for each in ("readinessProbe", "livenessProbe")
    )
    server = settings(read(container.words))

    assert unready < server.grace_seconds
    assert unready < dead


def _patience(probe: Manifest) -> float:
    """Seconds until it is believed that something is wrong."""
    seconds: float = probe["periodSeconds"] * probe["failureThreshold"]
    return seconds


def test_who_is_asked_by_name_is_there() -> None:
    deployment, service = one("Deployment", "trtasync"), one("Service", "trtasync")
    pod = deployment["spec"]["template"]
    labels = pod["metadata"]["labels"]
    names = {each["name"] for each in pod["spec"]["containers"][0]["ports"]}

    for selector in (
        service["spec"]["selector"],
        deployment["spec"]["selector"]["matchLabels"],
        one("PodDisruptionBudget", "trtasync")["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    assert {each["targetPort"] for each in service["spec"]["ports"]} <= names
    assert one("InferenceService", "digits")["spec"]["predictor"]["model"]["runtime"] == "trtasync"


def test_servers_read_the_plans_that_the_job_keeps() -> None:
    job = one("Job", "plan-resnet50")["spec"]["template"]["spec"]
    server = one("Deployment", "trtasync")["spec"]["template"]["spec"]
    building, serving = (
        next(each for each in containers() if each.pod is pod) for pod in (job, server)
    )
    built, served = read(building.words), read(serving.words)

    assert built["cache_dir"] == served["cache_dir"]
    assert [built["model"]] == list(map(str, served["models"]))
    assert built["max_batch_size"] == served["max_batch_size"]
    for name in ("runAsUser", "runAsGroup"):
        assert job["securityContext"][name] == server["securityContext"][name]


def test_ray_is_told_what_its_application_takes() -> None:
    (told,) = yaml.safe_load(one("RayService", "trtasync")["spec"]["serveConfigV2"])["applications"]
    job = next(each for each in containers() if not each.serves)
    built = read(job.words)

    module, _, name = told["import_path"].partition(":")
    tree = ast.parse((ROOT / module.replace(".", "/") / "deploying.py").read_text())
    functions = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
    assert name in functions
    known = {each.arg for each in functions["deployment"].args.kwonlyargs}
    assert told["args"].keys() - {"model"} <= known | EngineArguments.__annotations__.keys()
    assert (told["args"]["model"], told["args"]["cache"]) == (
        built["model"],
        str(built["cache_dir"]),
    )


def test_metrics_that_are_asked_for_are_told() -> None:
    told = {family.name for family in families([])}
    asked = re.findall(r"trtasync_\w+_(?:total|seconds|rows)\b", _everything())

    assert asked
    assert {name.removesuffix("_total") for name in asked} <= told


def _everything() -> str:
    return "".join(path.read_text() for path in DEPLOY.rglob("*.yaml"))
