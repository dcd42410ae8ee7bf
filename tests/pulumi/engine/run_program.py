"""Run one program in one stack: run_program.py SETTINGS FOLDER, as the real language host does."""

import asyncio
import json
import runpy
import sys
import traceback

import pulumi


def main() -> None:
    settings, folder = json.loads(sys.argv[1]), sys.argv[2]
    for key, value in pulumi.runtime.get_config_env().items():
        pulumi.runtime.set_config(key, value)
    secret = pulumi.runtime.get_config_secret_keys_env()
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), secret)
    pulumi.runtime.configure(pulumi.runtime.Settings(**settings))
    program = f"{folder}/__main__.py"

    def run() -> None:
        runpy.run_path(program, run_name="__main__")

    sys.path.insert(0, folder)
    try:
        asyncio.run(pulumi.runtime.run_in_stack(run))
    except pulumi.RunError as error:
        print(error)
        sys.exit(1)
    except Exception:  # noqa: BLE001 # reported to the engine
        print(traceback.format_exc())
        sys.exit(1)


if __name__ == "__main__":
    main()
