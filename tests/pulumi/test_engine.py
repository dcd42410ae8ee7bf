"""Every stack on Pulumi's real engine, with the policy pack on: made, found unchanged, and gone.

Providers are stand-ins, so this shows program, engine, settings, secrets, dependencies and
policies. What AWS itself would say, only AWS can.
"""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from sluice_policies.catalogue import STACK_RULES
from tests.pulumi.declared import OFFICE, STACKS, ours
from tests.pulumi.engine.engine import PACK, Ended, Engine
from tests.pulumi.engine.graph import graph_of
from tests.pulumi.policy_cases import BREACHES
from tests.support.goldens import Golden

OTHERS = ("choices", "database")
"""Stacks of what no other stack chooses; one of them with a database."""

BREACHING = PACK.parents[1] / "tests/pulumi/breaches"


@dataclass(frozen=True, kw_only=True)
class Journey:
    """A stack from nothing to nothing."""

    stack: str
    previews: tuple[Ended, Ended]
    up: Ended
    state: str
    outputs: Mapping[str, object]
    refresh: Ended
    again: Ended
    destroy: Ended
    destroy_what_is_free: Ended


def _ours(engine: Engine, name: str) -> Path:
    """Write a stack's choices, with values of our own in the place of placeholders."""
    choices = engine.home / f"{name}.yaml"
    choices.write_text(yaml.safe_dump({"config": ours(name)}), "utf-8")
    return choices


def _journey(engine: Engine, name: str) -> Journey:
    choices = _ours(engine, name) if name in STACKS else _TESTS / f"Pulumi.{name}.yaml"
    stack = engine.start_from(name, choices)
    previews = (stack.preview(), stack.preview())
    up = stack.up()
    state, outputs = stack.export(), stack.outputs()
    refresh, again = stack.refresh(), stack.preview()
    destroy = stack.destroy()
    stack.unprotect()
    free = stack.destroy()
    return Journey(
        stack=name,
        previews=previews,
        up=up,
        state=state,
        outputs=outputs,
        refresh=refresh,
        again=again,
        destroy=destroy,
        destroy_what_is_free=free,
    )


_TESTS = BREACHING.parent
_CHOICES = _TESTS / "Pulumi.choices.yaml"


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in (*STACKS, *OTHERS)],
)
def journey(request: pytest.FixtureRequest, engine: Engine) -> Journey:
    """Each stack's journey, made once for all that is asked about it."""
    return _journey(engine, request.param)


def test_every_step_of_the_way_ends_well(journey: Journey) -> None:
    for ended in (*journey.previews, journey.up, journey.refresh, journey.again):
        assert ended.code == 0, ended.output


def test_two_previews_want_the_same(journey: Journey) -> None:
    first, second = journey.previews
    assert first.wanted == second.wanted
    assert len(first.wanted) > 60


def test_a_stack_is_made_as_previewed(journey: Journey) -> None:
    preview, up = journey.previews[0], journey.up
    assert preview.summary == up.summary
    assert set(up.summary) == {"create"}
    assert set(preview.wanted) == set(up.wanted)


def test_resources_that_are_there_stay_unchanged(journey: Journey) -> None:
    count = journey.up.summary["create"]
    assert journey.refresh.summary == {"same": count}
    assert journey.again.summary == {"same": count}


def test_the_policy_pack_looked_and_found_nothing(journey: Journey) -> None:
    for ended in (*journey.previews, journey.up, journey.again):
        [pack] = ended.packs
        assert str(PACK) in pack
        assert ended.violations == []


def test_the_graph_of_resources_is_the_golden_one(journey: Journey, golden: Golden) -> None:
    golden(f"pulumi/{journey.stack}.json", graph_of(journey.state))


def test_outputs_name_the_next_command(journey: Journey) -> None:
    assert str(journey.outputs["kubeconfigCommand"]).startswith("aws eks update-kubeconfig")
    assert journey.outputs["clusterName"] == f"sluice-{journey.stack}"


def test_a_stack_goes_as_a_whole_and_prod_only_once_it_is_free(journey: Journey) -> None:
    everything = {"delete": journey.up.summary["create"]}
    if journey.stack == "prod":
        assert journey.destroy.code != 0
        assert "because it is protected" in journey.destroy.output
        assert journey.destroy.summary == {}
        assert journey.destroy_what_is_free.summary == everything
    else:
        assert journey.destroy.code == 0, journey.destroy.output
        assert journey.destroy.summary == everything


@pytest.mark.xdist_group("secrets")
def test_a_password_is_nowhere_in_the_open(engine: Engine) -> None:
    stack = engine.start_from("secrets", _CHOICES)
    stack.configure("sluice:repositoryPassword", "hunter2", "--secret")
    assert "hunter2" not in stack.choices.read_text("utf-8")
    up = stack.up()
    assert up.code == 0, up.output
    assert "sluice-secrets-repository" in stack.export()
    assert "hunter2" not in stack.export()
    assert "hunter2" not in up.output
    assert stack.destroy().code == 0


@pytest.mark.xdist_group("secrets")
def test_wrong_settings_end_a_preview_with_the_key_s_name(engine: Engine) -> None:
    stack = engine.start_from("wrong", _CHOICES)
    stack.configure("sluice:network.nat", "two")
    preview = stack.preview()
    assert preview.code != 0
    assert "sluice:network.nat: Input should be 'single' or 'perZone'" in preview.output
    assert "Traceback" not in preview.output


@pytest.mark.xdist_group("secrets")
def test_placeholders_end_a_preview(engine: Engine) -> None:
    stack = engine.start_from("fresh", _ours(engine, "dev"))
    stack.configure("sluice:cluster.publicCidrs[0]", "203.0.113.0/24")
    stack.configure("sluice:argocd.repository", "https://example.invalid/fork.git")
    preview = stack.preview()
    assert preview.code != 0
    assert "sluice:argocd.repository: https://example.invalid/" in preview.output
    assert "sluice:cluster.publicCidrs: 203.0.113.0/24 is a placeholder" in preview.output


@pytest.mark.xdist_group("databases")
def test_a_database_with_a_password_is_protected_in_prod(engine: Engine) -> None:
    stack = engine.start_from("password", _ours(engine, "prod"))
    stack.configure("sluice:database.authentication", "password")
    stack.configure("sluice:database.caFile", "nowhere.pem")
    refused = stack.preview()
    assert refused.code != 0
    assert "sluice:database.caFile: nowhere.pem cannot be read" in refused.output
    stack.configure("sluice:database.caFile", "../tests/pulumi/rds-ca.pem")
    made = stack.up()
    assert made.code == 0, made.output
    assert made.violations == []
    resources = json.loads(stack.export())["deployment"]["resources"]
    [facts] = [
        each["inputs"]["metadata"]["annotations"]
        for each in resources
        if each["urn"].endswith("::sluice-password-in-cluster")
    ]
    assert facts["sluice.dev/database-secret"] == stack.outputs()["databaseSecretArn"]
    again = stack.preview()
    assert again.summary == {"same": made.summary["create"]}


@pytest.mark.xdist_group("databases")
def test_gateways_use_a_database_by_iam_once_its_user_may_log_in(engine: Engine) -> None:
    """What is there without one stays as it is; then only what Argo CD hears of changes."""
    stack = engine.start_from("granted", _TESTS / "Pulumi.database.yaml")
    for key in ("authentication", "granted"):
        stack.drop(f"sluice:database.{key}")
    stack.configure("sluice:database.authentication", "iam")
    made = stack.up()
    assert made.code == 0, made.output
    assert "sluice.dev/database-" not in stack.export()
    stack.configure("sluice:database.granted", "true")
    granted = stack.up()
    assert granted.code == 0, granted.output
    assert granted.summary == {"update": 1, "same": made.summary["create"] - 1}
    assert "sluice.dev/database-host" in stack.export()


@pytest.mark.xdist_group("databases")
def test_an_old_stack_gets_a_database_and_nothing_else_is_replaced(engine: Engine) -> None:
    stack = engine.start_from("before", _ours(engine, "dev"))
    before = stack.up()
    assert before.code == 0, before.output
    stack.configure("sluice:database.authentication", "password")
    stack.configure("sluice:database.caFile", "../tests/pulumi/rds-ca.pem")
    after = stack.up()
    assert after.code == 0, after.output
    # The component, its security group, subnets and parameters, and the instance. The role of
    # External Secrets and Argo CD's Secret change.
    assert after.summary == {"create": 5, "update": 2, "same": before.summary["create"] - 2}


@pytest.mark.xdist_group("phases")
def test_prod_is_made_from_outside_and_closed_after(engine: Engine) -> None:
    """Its VPC is not there before the first `up`, and its API is reached from within only."""
    stack = engine.start_from("phases", _ours(engine, "prod"))
    in_three_days = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=3)
    stack.configure("sluice:cluster.publicCidrs[0]", OFFICE)
    refused = stack.preview()
    assert "environment prod has cluster.publicCidrs only with publicUntil" in refused.output
    stack.configure("sluice:cluster.publicUntil", str(in_three_days))
    made = stack.up()
    assert made.code == 0, made.output
    assert made.violations == []
    assert f"The API has a public endpoint, allowed until {in_three_days}." in made.output

    stack.configure("sluice:cluster.publicUntil", "2026-11-01")
    late = stack.preview()
    assert late.code != 0
    [violation] = late.violations
    assert "the API was to be private after 2026-11-01" in violation

    stack.drop("sluice:cluster.publicCidrs")
    stack.drop("sluice:cluster.publicUntil")
    closed = stack.up()
    assert closed.code == 0, closed.output
    assert closed.violations == []
    assert closed.summary == {"update": 1, "same": made.summary["create"] - 1}


@pytest.mark.xdist_group("breaches")
def test_the_engine_refuses_what_breaks_a_policy(engine: Engine) -> None:
    stack = engine.of(BREACHING).start("prod")
    preview = stack.preview()
    assert preview.code != 0
    reported = "\n".join(preview.violations)
    for policy, breaches in BREACHES.items():
        for breach in breaches:
            assert f"{policy}: " in reported
            assert f"{breach.resource.name}: " in reported
    # Its clusters have no resources beside them.
    for policy in STACK_RULES:
        assert f"{policy}: " in reported
    up = stack.up()
    assert up.code != 0
    assert up.violations != []
    made = {each["urn"] for each in json.loads(stack.export())["deployment"].get("resources", [])}
    assert not [urn for urn in made if "::aws:" in urn]


@pytest.mark.xdist_group("breaches")
def test_the_engine_lets_pass_what_keeps_every_policy(engine: Engine) -> None:
    stack = engine.of(BREACHING).start("conforming")
    up = stack.up()
    # A bucket's guards are resources beside it, which a program of single resources has not.
    assert {violation.partition(":")[0] for violation in up.violations} <= set(STACK_RULES)
