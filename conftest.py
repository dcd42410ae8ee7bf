"""What every test can use."""

from hypothesis import Phase, settings

pytest_plugins = [
    "tests.support.aiokafka_leak",
    "tests.support.event_loops",
    "tests.support.goldens",
    "tests.support.kafka",
    "tests.support.kafka_cluster",
    "tests.support.matrix",
    "tests.support.postgres",
    "tests.support.scheduling",
    # Imports some of the above, which have to be known as plugins by then.
    "tests.support.limits",
]

# A busy machine is not a defect, so examples have no deadline.
settings.register_profile("sluice", deadline=None)
# Whole runs are too slow to shrink.
settings.register_profile("e2e", deadline=None, max_examples=8, phases=[Phase.generate])
settings.load_profile("sluice")
