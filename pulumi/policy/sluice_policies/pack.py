"""Rules as Pulumi takes them. Every one is mandatory: a stack that breaks it is not made."""

import datetime as dt
import inspect
from collections.abc import Mapping, Sequence

import pulumi
from pulumi_policy import (
    Policy,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from sluice_policies.catalogue import RULES, STACK_RULES
from sluice_policies.resources import UNKNOWN, Resource, Rule, Said, StackRule, Value


def policies() -> list[Policy]:
    """Return all of them."""
    return [
        *(_policy(name, rule) for name, rule in RULES.items()),
        *(_stack_policy(name, rule) for name, rule in STACK_RULES.items()),
    ]


def _policy(name: str, rule: Rule) -> Policy:
    def validate(given: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = Resource(
            type=given.resource_type,
            name=given.name,
            props=_plain(given.props),
            urn=given.urn,
            protected=given.opts.protect,
        )
        for fault in rule(resource, _said()):
            report(f"{given.name}: {fault}", None)

    return ResourceValidationPolicy(name, _first_line(rule), validate)


def _stack_policy(name: str, rule: StackRule) -> Policy:
    def validate(given: StackValidationArgs, report: ReportViolation) -> None:
        for fault, urn in rule([_resource(each) for each in given.resources], _said()):
            report(f"{urn.rpartition('::')[2]}: {fault}", urn)

    return StackValidationPolicy(name, _first_line(rule), validate)


def _resource(given: PolicyResource) -> Resource:
    refers = {
        property_: frozenset(each.urn for each in named)
        for property_, named in given.property_dependencies.items()
    }
    return Resource(
        type=given.resource_type,
        name=given.name,
        props=_plain(given.props),
        urn=given.urn,
        protected=given.opts.protect,
        refers=refers,
    )


def _said() -> Said:
    config = pulumi.Config("sluice")
    cluster: Value = config.get_object("cluster") or {}
    until = cluster.get("publicUntil")
    iam: Value = config.get_object("iam") or {}
    return Said(
        environment=config.get("environment") or "",
        today=dt.datetime.now(dt.UTC).date(),
        public_until=dt.date.fromisoformat(until) if until else None,
        any_cidr=cluster.get("allowAnyCidr") is True,
        pods_are_the_node="existingRoleArn" in iam,
    )


def _plain(value: Value) -> Value:
    """Return properties without the guard that fails on what is not known yet."""
    if isinstance(value, Mapping):
        return {key: _known(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_known(value, index) for index in range(len(value))]
    return value


def _known(within: Value, key: str | int) -> Value:
    try:
        return _plain(within[key])
    except UnknownValueError:
        return UNKNOWN


def _first_line(rule: Rule | StackRule) -> str:
    return (inspect.getdoc(rule) or "").partition("\n")[0]
