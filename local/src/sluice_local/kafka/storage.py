"""Kafka's data folder: formatted once, recognised later, refused if it is not ours."""

import shutil
import subprocess
from pathlib import Path

from sluice_local.errors import LocalModeError
from sluice_local.kafka import config
from sluice_local.kafka.config import KafkaPorts

_FORMAT_SECONDS = 60
_START_AFRESH = "Remove that folder, for example with `make clean`; its runs are lost."


class KafkaStorage:
    """The files of the local Kafka below `data_dir`."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.log_dir = data_dir / "log"
        self.properties = data_dir / "server.properties"
        self._version_file = data_dir / "version"

    def prepare(self, *, java: Path, class_path: str, ports: KafkaPorts, version: str) -> None:
        """Prepare the folder for a broker of `version`.

        Raises:
            LocalModeError: the folder is not writable, has data of another cluster or of a newer
                Kafka, or could not be formatted.
        """
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            if self.log_dir.exists():
                self._require_ours(version)
            else:
                self._format(java=java, class_path=class_path, ports=ports)
            self._version_file.write_text(version + "\n", "ascii")
            self._write_properties(self.properties, ports=ports, log_dir=self.log_dir)
        except OSError as error:
            raise LocalModeError(
                f"Kafka's data folder {self.data_dir} cannot be used: "
                f"{error.strerror}: {error.filename}",
                remedy="Make it writable for this user, or choose another folder with --data-dir.",
            ) from error

    def _require_ours(self, version: str) -> None:
        cluster = _cluster_id(self.log_dir / "meta.properties")
        if cluster != config.CLUSTER_ID:
            found = (
                "no cluster id" if cluster is None else f"the data of another cluster ({cluster})"
            )
            raise LocalModeError(
                f"Kafka's data folder {self.log_dir} has {found}.", remedy=_START_AFRESH
            )
        written_by = self._version_file.read_text("ascii").strip()
        if _as_numbers(written_by) > _as_numbers(version):
            raise LocalModeError(
                f"Kafka's data folder {self.log_dir} was written by Kafka {written_by}, "
                f"which {version} cannot read.",
                remedy=_START_AFRESH,
            )

    def _format(self, *, java: Path, class_path: str, ports: KafkaPorts) -> None:
        # Formatted elsewhere and then moved, so that a killed first start leaves nothing partial.
        unfinished = self.data_dir / "log.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        properties = self.data_dir / "format.properties"
        self._write_properties(properties, ports=ports, log_dir=unfinished)
        outcome = subprocess.run(  # noqa: S603 (commands are ours)
            config.format_command(java=java, class_path=class_path, properties=properties),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_FORMAT_SECONDS,
            check=False,
        )
        if outcome.returncode != 0:
            raise LocalModeError(
                f"Kafka's data folder {self.data_dir} could not be formatted:\n"
                f"{outcome.stdout.strip()}",
                remedy=_START_AFRESH,
            )
        unfinished.rename(self.log_dir)
        properties.unlink()

    def _write_properties(self, file: Path, *, ports: KafkaPorts, log_dir: Path) -> None:
        file.write_text(config.server_properties(ports=ports, log_dir=log_dir), "ascii")


def _cluster_id(meta_properties: Path) -> str | None:
    if not meta_properties.exists():
        return None
    lines = meta_properties.read_text("latin-1").splitlines()
    return next((line.partition("=")[2] for line in lines if line.startswith("cluster.id=")), None)


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
