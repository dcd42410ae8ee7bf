"""The examples of docs/client.md do what the page says, in the order of the page.

The blocks share their names, as those of one program do; a block of `python sync` is a program of
its own. The one for Kafka is executed where there is a Kafka.
"""

import asyncio
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from sluice_workflows.catalogue import load_catalogue
from tests.contract.gateway import ending_gateway
from tests.support.client_page import examples, execute


async def test_every_example_does_what_the_page_says(tmp_path: Path) -> None:
    built_in = load_catalogue(file=None, entry_points=entry_points(group="sluice.workflows"))
    found = [each for each in examples() if each.kind != "python kafka"]
    assert len(found) > 10
    names: dict[str, Any] = {}
    async with ending_gateway(tmp_path, catalogue=built_in) as gateway:
        for each in found:
            program = each.program.replace(
                "http://localhost:8080", str(gateway.client.make_url("/"))
            )
            if each.kind == "python sync":
                printed = await asyncio.to_thread(asyncio.run, execute(program, {}))
            else:
                printed = await execute(program, names)
            assert printed == each.printed, each.program
