"""A real Apache Kafka on loopback, with jars from Maven and a Java runtime from PyPI."""

from sluice_local.kafka.broker import EmbeddedKafka
from sluice_local.kafka.jars import DEFAULT_VERSION, default_cache_dir

__all__ = ["DEFAULT_VERSION", "EmbeddedKafka", "default_cache_dir"]
