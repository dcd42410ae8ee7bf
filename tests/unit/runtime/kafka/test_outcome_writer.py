"""Each order writes the second record only once the first one is acknowledged."""

from collections.abc import Awaitable, Callable

import pytest

from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kafka.outcome_writer import write_results_first, write_status_first

Order = Callable[..., Awaitable[None]]


@pytest.mark.parametrize(
    ("order", "topics"),
    [
        (write_status_first, ["status", "results"]),
        (write_results_first, ["results", "status"]),
    ],
    ids=["dispatcher", "status-watcher"],
)
@pytest.mark.parametrize("acknowledged", [2, 1])
async def test_topics_are_written_in_order_up_to_a_failure(
    order: Order, topics: list[str], acknowledged: int
) -> None:
    written: list[str] = []

    def write(topic: str) -> Callable[[], Awaitable[None]]:
        async def send() -> None:
            if len(written) == acknowledged:
                raise KafkaUnavailableError(topic)
            written.append(topic)

        return send

    if acknowledged == 2:
        await order(status=write("status"), results=write("results"))
    else:
        with pytest.raises(KafkaUnavailableError, match=topics[1]):
            await order(status=write("status"), results=write("results"))
    assert written == topics[:acknowledged]
