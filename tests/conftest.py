"""What every test can use."""

pytest_plugins = ["tests.support.goldens", "tests.support.kafka"]
