"""The program that `pulumi up` runs."""

import pulumi

from sluice_infra.settings import NAMESPACE, SettingsError, read_settings
from sluice_infra.stack import build, here

try:
    outputs = build(
        read_settings(pulumi.runtime.get_config_env()),
        stack=pulumi.get_stack(),
        place=here(),
        password=pulumi.Config(NAMESPACE).get_secret("repositoryPassword"),
    )
except SettingsError as error:
    # Pulumi shows the message alone, which is written for people.
    raise pulumi.RunError(str(error)) from None
for name, value in outputs.items():
    pulumi.export(name, value)
