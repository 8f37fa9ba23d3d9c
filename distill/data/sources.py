"""From a source in a spec to a table."""

from __future__ import annotations

from distill.data.readers import read_file, read_hub
from distill.data.table import Table
from distill.spec import FileSource, PackSource, Source


def load(source: Source) -> Table:
    """Read the rows of a pack, a file or a hub data set; raises DataError or PackError."""
    if isinstance(source, PackSource):
        from distill.data.packs import dataset

        return dataset(source.name)
    return read_file(source) if isinstance(source, FileSource) else read_hub(source)
