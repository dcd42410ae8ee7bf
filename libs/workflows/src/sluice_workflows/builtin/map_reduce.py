"""`map-reduce`: count the words of a text with many workers, after Argo's examples/map-reduce.yaml.

`split` cuts the text into chunks, `count` runs once per chunk, and `sum` adds the counts up. Chunks
and partial counts are artifacts under `<workflow>/chunks/` and `<workflow>/counts/` of the bucket.
"""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from sluice_workflows.entries import Couler, Entry
from sluice_workflows.extensions import (
    Extension,
    fan_out,
    keep_unarchived,
    raw_input,
    run_outputs,
)
from sluice_workflows.outputs import artifact, output_parameter
from sluice_workflows.parameters import Parameters, Text
from sluice_workflows.python_steps import python_step
from sluice_workflows.settings import CompileSettings
from sluice_workflows.steps import count_words, split_text, sum_counts

__all__ = ["MAP_REDUCE"]

_TEXT: Final = "/sluice/in/text"
_CHUNKS: Final = "/sluice/out/chunks"
_CHUNK: Final = "/sluice/in/chunk"
_PARTIAL: Final = "/sluice/out/partial.json"
_PARTS: Final = "/sluice/in/parts"
_COUNTS: Final = "/sluice/out/counts.json"
_TOTAL: Final = "/sluice/out/total"
_TRUNCATED: Final = "/sluice/out/truncated"


class MapReduceParameters(Parameters):
    """The parameters of `map-reduce`."""

    workers: Annotated[
        int, Field(ge=1, le=50, description="How many steps count at the same time.")
    ] = 4
    text: Annotated[
        str, Text(max_bytes=256 * 1024), Field(description="The text whose words are counted.")
    ]


def _build(couler: Couler, settings: CompileSettings) -> Iterable[Extension]:
    image = settings.python_image
    python_step(
        couler,
        name="split",
        image=image,
        program=split_text,
        env={"TEXT": _TEXT, "WORKERS": "{{workflow.parameters.workers}}", "CHUNKS": _CHUNKS},
        outputs=[artifact(couler, "chunks", path=_CHUNKS, key="{{workflow.name}}/chunks/")],
    )
    python_step(
        couler,
        name="count",
        image=image,
        program=count_words,
        env={"CHUNK": _CHUNK, "COUNTS": _PARTIAL},
        inputs=[artifact(couler, "chunk", path=_CHUNK)],
        outputs=[
            artifact(
                couler,
                "partial",
                path=_PARTIAL,
                key="{{workflow.name}}/counts/{{inputs.parameters.index}}",
            )
        ],
        after="split",
    )
    python_step(
        couler,
        name="sum",
        image=image,
        program=sum_counts,
        env={"PARTS": _PARTS, "COUNTS": _COUNTS, "TOTAL": _TOTAL, "TRUNCATED": _TRUNCATED},
        inputs=[artifact(couler, "parts", path=_PARTS, key="{{workflow.name}}/counts")],
        outputs=[
            output_parameter(couler, "counts", path=_COUNTS),
            output_parameter(couler, "total", path=_TOTAL),
            output_parameter(couler, "truncated", path=_TRUNCATED),
        ],
        after="count",
    )
    return [
        raw_input(template="split", name="text", path=_TEXT, data="{{workflow.parameters.text}}"),
        fan_out(
            task="count",
            over="{{tasks.split.outputs.result}}",
            parameters={"index": "{{item}}"},
            artifacts={"chunk": "{{workflow.name}}/chunks/{{item}}"},
        ),
        keep_unarchived(),
        run_outputs(
            {
                name: f"{{{{tasks.sum.outputs.parameters.{name}}}}}"
                for name in ("counts", "total", "truncated")
            }
        ),
    ]


MAP_REDUCE: Final = Entry(
    name="map-reduce",
    description="Counts the words of a text: maximal runs of alphanumeric characters, casefolded. "
    "The run's outputs are `counts` (a JSON object, most frequent first), `total`, and "
    "`truncated`, which is `true` if `counts` would have passed 128 KiB and was cut to at most "
    "1,000 words.",
    parameters=MapReduceParameters,
    template=_build,
)
"""A Workflow of up to 1.1 MiB; etcd accepts 1.5 MiB. The argument has up to 342 KiB, with a second
copy in the status of `split`. The counts have 128 KiB in the status of `sum`, and as much in that
of the run. The nodes have about 100 KiB. Argo compresses them above 1 MiB."""
