"""Read and write backup files: gzip, with one line for the header, each table and row, and the end.

The last line has the SHA-256 of all lines before it. The header has the number of rows per table, so that a file
that was cut short, changed or assembled wrongly is detected before it is used.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

FORMAT = "fluxtracker-backup"
VERSION = 1
LEVEL = 3  # hex digits and addresses shrink little further, and slowly
BATCH = 2_000  # rows in memory
BATCH_BYTES = 8 << 20  # of a batch
LONGEST_LINE = 16 << 20
MOST_VALUES = 1_000_000  # per line: the smallest value takes 3 bytes there and 64 in memory
MOST_ROWS = 10**12
LONGEST_WORD = 200
OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z

Row = list[Any]


class NotRestorable(Exception):
    """The file is not a backup, is damaged, or is not for this version."""


@dataclass(frozen=True, slots=True)
class TableHead:
    name: str
    columns: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class Header:
    made_at: str
    engine: str
    origin: str
    """A signature of `made_at` by the installation that made it."""
    migrations: Mapping[str, frozenset[str]]
    tables: tuple[TableHead, ...]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    def as_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "made_at": self.made_at,
            "engine": self.engine,
            "origin": self.origin,
            "migrations": {app: sorted(names) for app, names in sorted(self.migrations.items())},
            "tables": [{"name": t.name, "columns": t.columns, "rows": t.rows} for t in self.tables],
        }


class Writer:
    """Writes a backup to an open file in batches of rows."""

    def __init__(self, raw: IO[bytes], header: Header) -> None:
        self._gzip = gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=LEVEL)
        self._digest = hashlib.sha256()
        self._rows = 0
        self._write(line(header.as_json()))

    def table(self, name: str) -> None:
        self._write(line({"table": name}))

    def rows(self, rows: list[Any]) -> None:
        self._rows += len(rows)
        self._write(b"".join(map(line, rows)))

    def end(self) -> None:
        self._gzip.write(line({"end": True, "rows": self._rows, "sha256": self._digest.hexdigest()}))
        self._gzip.close()

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self._gzip.write(data)


def line(value: Any) -> bytes:
    return orjson.dumps(value, option=OPTIONS) + b"\n"


@dataclass(slots=True)
class Hashed(io.RawIOBase):
    """A file that computes the SHA-256 of what is read."""

    raw: IO[bytes]
    digest: Any = field(default_factory=hashlib.sha256)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self.raw.read(size)
        self.digest.update(data)
        return data


class Reader:
    """Reads a backup from an open file, from its first line to its last. Raises NotRestorable for any damage."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = Hashed(raw)
        self._lines = io.BufferedReader(gzip.GzipFile(fileobj=self._raw, mode="rb"), 1 << 18)
        self._digest = hashlib.sha256()
        self._rows = self._bytes = 0
        self.header = _header(self._first_line())

    def batches(self, table: TableHead) -> Iterator[list[Row]]:
        """Yield the rows of the next table in batches."""
        if self._value() != {"table": table.name}:
            raise NotRestorable(f"is damaged: {table.name} does not begin where it should")
        left = table.rows
        while left:
            until, batch = self._bytes + BATCH_BYTES, list[Row]()
            while len(batch) < min(left, BATCH) and self._bytes < until:
                batch.append(self._row(table))
            self._rows += len(batch)
            left -= len(batch)
            yield batch

    def end(self) -> str:
        """Check that the last line is valid and final. Return the SHA-256 of the file."""
        expected = {"end": True, "rows": self._rows, "sha256": self._digest.hexdigest()}
        if _loads(self._line()) != expected:
            raise NotRestorable("is damaged: its checksum or number of rows differs")
        if self._line(last=True):
            raise NotRestorable("is damaged: it continues after its end")
        return str(self._raw.digest.hexdigest())

    def _row(self, table: TableHead) -> Row:
        row = self._value()
        if not isinstance(row, list) or len(row) != len(table.columns):
            raise NotRestorable(f"is damaged: a row of {table.name} is not one")
        return row

    def _value(self) -> Any:
        data = self._line()
        self._digest.update(data)
        return _loads(data)

    def _first_line(self) -> Any:
        try:
            return self._value()
        except NotRestorable as error:
            raise NotRestorable("is not a backup of Fluxtracker") from error

    def _line(self, *, last: bool = False) -> bytes:
        try:
            data = self._lines.readline(LONGEST_LINE)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise NotRestorable(f"is damaged or was cut short: {error}") from error
        if not data.endswith(b"\n") and not last:
            too_long = len(data) >= LONGEST_LINE
            raise NotRestorable("is damaged: a line of it is too long" if too_long else "is damaged or was cut short")
        self._bytes += len(data)
        return data


def _loads(data: bytes) -> Any:
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MOST_VALUES:
        raise NotRestorable("is damaged: a line of it holds too much")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise NotRestorable("is damaged: a line of it cannot be read") from error


def _header(data: Any) -> Header:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise NotRestorable("is not a backup of Fluxtracker")
    version = data.get("version")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise NotRestorable(f"was made by a newer version (format {str(version)[:20]}, this one knows {VERSION})")
    try:
        tables = tuple(map(_table_head, _list(data["tables"])))
        migrations = {_word(app): frozenset(map(_word, _list(names))) for app, names in data["migrations"].items()}
        header = Header(_word(data["made_at"]), _word(data["engine"]), _word(data["origin"]), migrations, tables)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotRestorable("is damaged: its header lacks something") from error
    if len({table.name for table in tables}) < len(tables):
        raise NotRestorable("is damaged: it names a table twice")
    return header


def _table_head(data: Any) -> TableHead:
    columns, rows = tuple(map(_word, _list(data["columns"]))), data["rows"]
    if type(rows) is not int or not 0 <= rows <= MOST_ROWS or len(set(columns)) < len(columns) or not columns:
        raise ValueError("no head of a table")
    return TableHead(_word(data["name"]), columns, rows)


def _word(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_WORD:
        raise TypeError("no word")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def header_of(path: Path) -> Header | None:
    """Return the header of a backup, None if the file is not one."""
    try:
        if not path.is_file():  # opening a pipe would block
            return None
        with path.open("rb") as raw:
            return Reader(raw).header
    except (OSError, NotRestorable):
        return None
