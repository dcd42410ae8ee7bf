"""The names of the objects that hold slots."""

import re

from sluice_dispatcher.domain.slots import slot_name


def test_the_name_of_a_slot_shows_nothing_of_its_value() -> None:
    name = slot_name(tenant="acme", workflow="close", value="account-4711")
    assert re.fullmatch(r"sluice-slot-[a-z2-7]{26}", name)
    assert not any(part in name for part in ("acme", "close", "4711"))


def test_each_tenant_workflow_and_value_has_a_name_of_its_own() -> None:
    names = {
        slot_name(tenant=tenant, workflow=workflow, value=value)
        for tenant in ("a", "ab")
        for workflow in ("c", "bc")
        for value in ("", "c", 'x", "y')
    }
    assert len(names) == 12
