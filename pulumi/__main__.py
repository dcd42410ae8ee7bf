"""The program that `pulumi up` runs."""

import pulumi

from sluice_infra.settings import NAMESPACE, read_settings
from sluice_infra.stack import build, here

outputs = build(
    read_settings(pulumi.runtime.get_config_env()),
    stack=pulumi.get_stack(),
    place=here(),
    password=pulumi.Config(NAMESPACE).get_secret("repositoryPassword"),
)
for name, value in outputs.items():
    pulumi.export(name, value)
