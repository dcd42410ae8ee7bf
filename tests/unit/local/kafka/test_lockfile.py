"""Lock files: valid ones and invalid ones."""

from pathlib import PurePosixPath

import pytest

from sluice_local.kafka.jars import locked_jars
from sluice_local.kafka.lockfile import LockedJar, locked_versions, parse, render

SUM = "a" * 64
JAR = LockedJar(
    path=PurePosixPath("org/lwjgl/core/lwjgl/3.3.1/lwjgl-3.3.1-natives-linux.jar"), sha256=SUM
)


def test_the_path_has_the_coordinates() -> None:
    assert (JAR.group, JAR.artifact, JAR.version) == ("org.lwjgl.core", "lwjgl", "3.3.1")
    assert JAR.classifier == "natives-linux"


def test_a_rendered_lock_file_parses_to_the_same_jars() -> None:
    other = LockedJar(path=PurePosixPath("a/b/1/b-1.jar"), sha256="b" * 64)
    assert parse(render([JAR, other])) == [other, JAR]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        f"{SUM} a/b/1/b-1.jar",
        f"{SUM[1:]}  a/b/1/b-1.jar",
        f"{SUM}  b-1.jar",
        f"{SUM}  a/b/1/b-1.txt",
        f"{SUM}  /a/b/1/b-1.jar",
        f"{SUM}  ../../a/b/1/b-1.jar",
    ],
)
def test_a_line_of_another_form_is_refused_by_number(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        parse(f"{SUM}  a/b/1/b-1.jar\n{line}\n")


@pytest.mark.parametrize("version", locked_versions())
def test_each_committed_lock_names_the_broker_and_a_logger(version: str) -> None:
    jars = locked_jars(version)
    names = {(jar.group, jar.artifact, jar.version) for jar in jars}
    assert ("org.apache.kafka", "kafka_2.13", version) in names
    assert ("org.slf4j", "slf4j-simple", "1.7.36") in names
    assert not any(jar.classifier for jar in jars)
