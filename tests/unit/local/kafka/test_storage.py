"""Kafka's data folder: ours is used again, any other is refused with a remedy."""

from pathlib import Path

import pytest

from sluice_local.errors import LocalModeError
from sluice_local.kafka.config import CLUSTER_ID, KafkaPorts
from sluice_local.kafka.storage import KafkaStorage


def prepare(folder: Path, *, version: str = "4.3.1", java: Path = Path("/bin/false")) -> None:
    """Prepare with a Java that always fails: a formatted folder does not need it."""
    KafkaStorage(folder).prepare(
        java=java, class_path="", ports=KafkaPorts(client=1, controller=2), version=version
    )


def laid_out(folder: Path, *, cluster_id: str = CLUSTER_ID, version: str = "4.3.1") -> Path:
    (folder / "log").mkdir(parents=True)
    (folder / "log/meta.properties").write_text(f"#\nnode.id=1\ncluster.id={cluster_id}\n")
    (folder / "version").write_text(version)
    return folder


def test_our_own_folder_is_used_again_with_new_ports(tmp_path: Path) -> None:
    prepare(laid_out(tmp_path))
    assert "listeners=PLAINTEXT://127.0.0.1:1," in (tmp_path / "server.properties").read_text()


def test_an_older_kafkas_folder_is_used(tmp_path: Path) -> None:
    prepare(laid_out(tmp_path, version="3.8.1"))
    assert (tmp_path / "version").read_text() == "4.3.1\n"


def test_a_newer_kafkas_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalModeError, match=r"written by Kafka 4\.10\.0, which 4\.9\.0 cannot"):
        prepare(laid_out(tmp_path, version="4.10.0"), version="4.9.0")


def test_another_clusters_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalModeError, match=r"another cluster \(theirs\)") as caught:
        prepare(laid_out(tmp_path, cluster_id="theirs"))
    assert "make clean" in str(caught.value)


def test_a_folder_without_cluster_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(LocalModeError, match="no cluster id"):
        prepare(tmp_path)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kafka").touch()
    with pytest.raises(LocalModeError, match="cannot be used: File exists"):
        prepare(tmp_path / "kafka")


def test_a_failed_format_leaves_no_log_folder(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(LocalModeError, match="could not be formatted"):
            prepare(tmp_path)
    assert not (tmp_path / "log").exists()
