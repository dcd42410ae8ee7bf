"""The catalogue: all workflows that clients may start, from all sources."""

from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Final

from sluice_workflows.builtin import BUILT_IN
from sluice_workflows.catalogue_file import read_catalogue_file
from sluice_workflows.entries import Entry
from sluice_workflows.errors import CatalogueError, UnknownWorkflowError

__all__ = ["ENTRY_POINT_GROUP", "Catalogue", "load_catalogue"]

ENTRY_POINT_GROUP: Final = "sluice.workflows"


class Catalogue:
    """Entries by name, in the order in which they were passed.

    Raises:
        CatalogueError: two entries have the same name.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: dict[str, Entry] = {}
        for entry in entries:
            if entry.name in self._entries:
                raise CatalogueError(
                    f"there are two workflows named `{entry.name}`; rename or remove one"
                )
            self._entries[entry.name] = entry

    def get(self, name: str) -> Entry:
        """Return the entry of that name.

        Raises:
            UnknownWorkflowError: there is none; the message lists the names that exist.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownWorkflowError(name, known=self._entries) from None

    def keeps_parameters(self, name: str) -> bool:
        """Return whether the parameters of that workflow's runs may be kept to be shown."""
        entry = self._entries.get(name)
        return entry is not None and not entry.private_parameters

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)


def load_catalogue(*, file: Path | None, entry_points: Iterable[EntryPoint]) -> Catalogue:
    """Return the catalogue of the built-in entries, installed packages and the file, in that order.

    `entry_points` are those of the group `ENTRY_POINT_GROUP`, which the caller looks up:
    `importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)`. Each names an `Entry`, or a
    callable without arguments that returns entries.

    Raises:
        CatalogueError: an entry or the file is invalid, or two entries have the same name.
    """
    installed = [
        entry
        for point in sorted(entry_points, key=lambda point: (point.name, point.value))
        for entry in _load(point)
    ]
    from_file = () if file is None else read_catalogue_file(file)
    try:
        return Catalogue((*BUILT_IN, *installed, *from_file))
    except CatalogueError as e:
        sources = f" (sources: {file} and the entry points {ENTRY_POINT_GROUP})"
        raise CatalogueError(f"{e}{sources}") from e


def _load(point: EntryPoint) -> tuple[Entry, ...]:
    place = f"entry point `{point.name} = {point.value}` of {ENTRY_POINT_GROUP}"
    try:
        loaded = point.load()
        entries = (loaded,) if isinstance(loaded, Entry) else tuple(loaded())
    except CatalogueError as e:
        raise CatalogueError(f"{place}: {e}") from e
    except Exception as e:
        raise CatalogueError(
            f"{place}: provides no entries ({type(e).__name__}: {e}); it must name an Entry or a "
            "callable that returns entries"
        ) from e
    for entry in entries:
        if not isinstance(entry, Entry):
            raise CatalogueError(f"{place}: provides a {type(entry).__name__} instead of an Entry")
    return entries
