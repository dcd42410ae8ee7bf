"""What each chart makes of each file of values is sound, whichever and whatever they are."""

import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.chart_docs import CHARTS
from tests.charts.rendering import (
    ALL_FILES,
    ALL_NAMES,
    CHART,
    KAFKA,
    WORKFLOWS,
    Helm,
    Rendered,
    chart_of,
    ci_files,
)

CLUSTERS = {
    "ClusterRole",
    "ClusterRoleBinding",
    "Namespace",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
MORE_THAN_SLUICE = {"ConfigMap/more"}
# Kinds that templates compute, which so stand in no line of theirs.
COMPUTED = {
    CHART: {
        *("Deployment", "StatefulSet"),
        *("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"),
    }
}
# What services have in common goes through the same lines for each.
ALIKE = {CHART: ("gateway", "dispatcher", "statusWatcher", "defaults")}

each_chart = pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)


@pytest.mark.charts
@pytest.mark.parametrize("file", ALL_FILES, ids=ALL_NAMES)
def test_lint_has_nothing_to_say(helm: Helm, file: Path) -> None:
    done = helm.run("lint", "--strict", str(chart_of(file)), "--values", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.charts
def test_no_two_objects_have_one_name(anything: Rendered) -> None:
    names = Counter(
        (
            each["apiVersion"],
            each["kind"],
            each["metadata"].get("namespace"),
            each["metadata"]["name"],
        )
        for each in anything.objects
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.charts
def test_every_object_says_where_it_belongs(anything: Rendered) -> None:
    for each in anything.objects:
        name = f"{each['kind']}/{each['metadata']['name']}"
        if name in MORE_THAN_SLUICE:
            continue
        assert ("namespace" in each["metadata"]) != (each["kind"] in CLUSTERS), name
        assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "sluice", name


@pytest.mark.charts
@each_chart
def test_every_template_makes_something(helm: Helm, chart: Path) -> None:
    """The files of values between them turn everything on."""
    kinds = {
        each["kind"] for file in ci_files(chart) for each in helm.rendered(file, chart).objects
    }
    declared: set[str] = set()
    for template in chart.glob("templates/**/*.*"):
        lines = template.read_text(encoding="utf-8").splitlines()
        declared |= {line.removeprefix("kind: ") for line in lines if line.startswith("kind: ")}
    literal = {kind for kind in declared if "{{" not in kind}
    assert len(literal) > 6
    assert kinds == literal | COMPUTED.get(chart, set())


@each_chart
def test_every_value_is_set_by_some_file(chart: Path) -> None:
    values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    given = set()
    for file in ci_files(chart):
        given |= set(leaves(yaml.safe_load(file.read_text(encoding="utf-8")) or {}))
    sections = ALIKE.get(chart, ())
    unset = [
        path
        for path in leaves(values)
        if not any(one[: len(path)] == path for one in given)
        and not any(
            (section, *path[1:]) == one[: len(path)]
            for one in given
            for section in sections
            if path[0] in sections
        )
    ]
    assert unset == []


def leaves(values: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(values, dict) or not values:
        return [path]
    return [leaf for name, value in values.items() for leaf in leaves(value, (*path, name))]


NUMBERS = {
    CHART: """
        workflows: {namespace: "99001", executor: {name: "99002"}}
        kafka:
          securityProtocol: SASL_SSL
          sasl: {existingSecret: "99003", usernameKey: "99004", passwordKey: "99005"}
          tls: {caSecret: "99006", caKey: "99007", clientSecret: "99013", certKey: "99014",
            keyKey: "99015"}
        defaults: {priorityClassName: "99008", serviceAccount: {name: "99009"}}
        gateway: {persistence: {enabled: true, storageClassName: "99010"}}
        store: {kind: postgres, consumerGroup: "99016", postgres: {host: "99017", database: "99018",
          username: "99019", existingSecret: "99020", passwordKey: "99021", caSecret: "99022",
          caKey: "99023", externalSecret: {enabled: true, remoteKey: "99024",
          secretStoreRef: {name: "99025"}, passwordProperty: "99026"}}}
        dispatcher: {kafkaUser: "99011", keda: {enabled: true, authenticationRef: "99012"}}
        """,
    KAFKA: """
        rack: {topologyKey: "99001"}
        brokers: {priorityClassName: "99002", storage: {class: "99003"}}
        topics: {requests: {name: "99004"}, dlq: {name: "99005"}}
        services: {consumerGroup: "99006", gatewayGroup: "99008"}
        authorization: {superUsers: ["99007"]}
        """,
    WORKFLOWS: """
        namespaces: {names: ["99001"], create: true}
        executor: {name: "99002"}
        """,
}


@pytest.mark.charts
@each_chart
def test_names_that_look_like_numbers_stay_names(helm: Helm, tmp_path: Path, chart: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(NUMBERS[chart], encoding="utf-8")
    found = set(scalars(helm.rendered(values, chart).objects))
    given = range(99001, 99001 + NUMBERS[chart].count("990"))
    assert {str(number) for number in given} <= found
    assert found.isdisjoint(given)


def scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            yield from scalars(below)
    else:
        yield value


@pytest.mark.charts
@each_chart
def test_files_that_only_check_a_chart_are_not_released(
    helm: Helm, tmp_path: Path, chart: Path
) -> None:
    done = helm.run("package", str(chart), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    [package] = tmp_path.iterdir()
    with tarfile.open(package) as archive:
        released = {Path(*Path(name).parts[1:]) for name in archive.getnames()}
    assert {Path("values.schema.json"), Path("templates/NOTES.txt")} <= released
    assert {path.parts[0] for path in released}.isdisjoint({"ci", "tests"})
    written = {path.relative_to(chart) for path in chart.glob("templates/**/*") if path.is_file()}
    assert written <= released


@each_chart
def test_its_version_is_a_version(chart: Path) -> None:
    written = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
    assert written["version"].count(".") == 2
    assert isinstance(written["appVersion"], str)
