"""The policy pack that `pulumi up --policy-pack policy` runs."""

from pulumi_policy import EnforcementLevel, PolicyPack

from sluice_policies.pack import policies

PolicyPack("sluice", policies(), enforcement_level=EnforcementLevel.MANDATORY)
