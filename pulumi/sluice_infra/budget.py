"""Mail before the bill surprises."""

import pulumi
from pulumi_aws import budgets

from sluice_infra.naming import Naming
from sluice_infra.settings import BudgetSettings


def alarm(naming: Naming, settings: BudgetSettings, *, opts: pulumi.ResourceOptions) -> None:
    """Declare a budget of the account: a mail at 80 % of it, and when all of it is forecast.

    It is not the stack's, because a filter by tags counts nothing until the account activates them.
    """
    budgets.Budget(
        naming.name("budget"),
        name=naming.everywhere("budget"),
        budget_type="COST",
        time_unit="MONTHLY",
        limit_amount=str(settings.monthly_dollars),
        limit_unit="USD",
        notifications=[
            budgets.BudgetNotificationArgs(
                notification_type=kind,
                comparison_operator="GREATER_THAN",
                threshold=threshold,
                threshold_type="PERCENTAGE",
                subscriber_email_addresses=list(settings.emails),
            )
            for kind, threshold in (("ACTUAL", 80), ("FORECASTED", 100))
        ],
        tags=naming.tags("budget"),
        opts=opts,
    )
