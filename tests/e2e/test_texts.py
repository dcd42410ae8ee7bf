"""Any text is a value like any other, and reaches the steps and the outcome byte for byte."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.counting import map_reduce, words
from tests.support.sluice import Sluice

pytestmark = pytest.mark.e2e

TRICKY = [
    "",
    "{{workflow.name}} {{=1+1}} {{inputs.parameters.text}} {{{{}}}}",
    """quotes ' " ` and \\ backslashes \\n""",
    "lines\nof\r\ntext\n\n",
    "$(id) ${HOME} `id` ; rm -rf / && true | cat > x",
    "emoji 👩‍👩‍👧 and Straße and ﬁ and e\u0301 and \u0000 and \u202e",
    "--help",
    "'{\"a\": [1]}'",
]


def as_few_runs(sluice: Sluice, texts: list[str]) -> list[str]:
    """Join what one run can carry where each run costs pods, and so many seconds."""
    return texts if sluice.engine.is_local else ["\n".join(texts)]


async def passed_on(sluice: Sluice, texts: list[str]) -> list[str]:
    async with sluice.client() as client:
        outcomes = await asyncio.gather(
            *(
                client.outcome({"workflow": "artifact-passing", "parameters": {"message": text}})
                for text in texts
            )
        )
    return [outcome["outputs"]["message"] for outcome in outcomes]


async def test_tricky_texts_come_through_exactly(sluice: Sluice) -> None:
    texts = as_few_runs(sluice, TRICKY)
    assert await passed_on(sluice, texts) == texts


async def test_tricky_texts_are_counted_exactly(sluice: Sluice) -> None:
    size = 256 * 1024 if sluice.engine.is_local else 63 * 1024
    long = [
        "\u0000" * size,
        "a" * size,
        "😀" * (size // 4),
        ("wörter " * size).encode()[:size].decode(errors="ignore"),
    ]
    async with sluice.client() as client:
        for text in [*as_few_runs(sluice, TRICKY), *as_few_runs(sluice, long)]:
            outcome = await client.outcome(map_reduce(text, workers=3))
            assert outcome["phase"] == "Succeeded", outcome["message"]
            if outcome["outputs"]["truncated"] == "false":
                assert json.loads(outcome["outputs"]["counts"]) == words(text)
            assert int(outcome["outputs"]["total"]) == sum(words(text).values())


def test_any_text_comes_through_exactly(sluice: Sluice) -> None:
    examples = 8 if sluice.engine.is_local else 1

    @settings(settings.get_profile("e2e"), max_examples=examples)
    @given(texts=st.lists(st.text(max_size=200), min_size=12, max_size=12))
    def come_through(texts: list[str]) -> None:
        given = as_few_runs(sluice, texts)
        assert asyncio.run(passed_on(sluice, given)) == given

    come_through()


LINES = """first: {a: [1, "two"]}
\tsecond\t'quoted' \\ \\n \\u0041 $HOME $ `id` # - > | %s
}} {x} 😀 e\u0301 \u2028 \u200b \ufeff \ue000

--- last
"""


async def test_lines_reach_a_template_that_expects_plain_text(sluice: Sluice) -> None:
    async with sluice.client() as client:
        outcome = await client.outcome({"workflow": "recite", "parameters": {"lines": LINES}})
    assert outcome["phase"] == "Succeeded", outcome
    assert outcome["outputs"] == {"lines": LINES}


async def test_a_text_too_long_is_refused_with_its_place(sluice: Sluice) -> None:
    async with sluice.client() as client:
        status, body = await client.post(map_reduce("a" * (256 * 1024 + 1)))
    assert status == 422
    assert body["errors"][0]["pointer"] == "/parameters/text"
