"""`make setup-pulumi` makes what Pulumi's own language host needs; the tests have another."""

import json
import subprocess
import sys


def test_the_environment_lists_its_packages_as_pulumi_asks_for_them() -> None:
    """Without pip, every command of Pulumi would end before the program runs.

    The host looks for plugins among the packages, and asks pip wherever there is no lock of uv's.
    """
    command = [sys.executable, "-m", "pip", "list", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = {each["name"].replace("_", "-") for each in json.loads(done.stdout)}
    assert names >= {"pulumi", "pulumi-aws", "pulumi-kubernetes", "pulumi-policy"}
