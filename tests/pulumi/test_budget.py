"""An alarm about costs, by choice."""

import pytest

from tests.pulumi.declared import STACKS, Declare

BUDGET = "budgets/budget:Budget"


@pytest.mark.parametrize("stack", STACKS)
def test_there_is_no_alarm_unless_it_is_chosen(declare: Declare, stack: str) -> None:
    assert declare(stack).of(BUDGET) == {}


def test_mail_is_sent_before_the_money_is_spent(declare: Declare) -> None:
    chosen = {"budget": {"monthlyDollars": 600, "emails": ["ops@sluice.test"]}}
    budget = declare("dev", chosen).one(BUDGET)
    assert (budget["limitAmount"], budget["limitUnit"]) == ("600", "USD")
    assert (budget["budgetType"], budget["timeUnit"]) == ("COST", "MONTHLY")
    alarms = {each["notificationType"]: each for each in budget["notifications"]}
    assert {kind: each["threshold"] for kind, each in alarms.items()} == {
        "ACTUAL": 80,
        "FORECASTED": 100,
    }
    assert all(each["subscriberEmailAddresses"] == ["ops@sluice.test"] for each in alarms.values())
