"""Staff as a table that a spreadsheet reads and writes: one line for each person at each booth, in the booth's order.

Columns: ``id,name,role,slack,phone,backup,booth,mail,line``. What is written can be read again, and gives the same booths.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Final

from shadows.errors import Rejected
from shadows.registry import Booth, NewStaff, Person

COLUMNS: Final = ("id", "name", "role", "slack", "phone", "backup", "booth", "mail", "line")

Line = tuple[int, str, NewStaff | Rejected]


def read(content: bytes) -> list[Line]:
    """Of each line its number, the id in it, and the person, or what is wrong with them.

    The header is required, and of the columns id and name.

    Args:
        content: CSV in UTF-8, or in what Excel saves on a Japanese Windows.

    Raises:
        Rejected: 400, if it is no such table as a whole.
    """
    reader = csv.reader(io.StringIO(decoded(content), newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        _check(header)
        return [
            _parsed(reader.line_num, header, [cell.strip() for cell in cells])
            for cells in reader
            if any(cell.strip() for cell in cells)
        ]
    except csv.Error as error:
        raise Rejected(400, f"line {reader.line_num}: expected CSV, got something else ({error})") from None


def write(people: Iterable[Person], booths: Iterable[Booth]) -> str:
    """Everybody as such a table; who is at two booths has two lines."""
    known = {person.id: person for person in people if person.staff}
    listed = [(known[id], booth.id) for booth in booths for id in booth.staff if id in known]
    elsewhere = known.keys() - {person.id for person, _ in listed}
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    writer.writerows(_cells(*each) for each in [*listed, *((known[id], "") for id in sorted(elsewhere))])
    return table.getvalue()


def _cells(person: Person, booth: str) -> Iterator[str]:
    name, role = (person.staff.name, person.staff.role) if person.staff else ("", "")
    yield from (
        person.id,
        name,
        role,
        person.slack,
        person.phone,
        person.backup,
        booth,
        person.mail,
        person.line,
    )


def decoded(content: bytes) -> str:
    """A table's text.

    Raises:
        Rejected: 400, if it is in no encoding that spreadsheets write.
    """
    for encoding in ("utf-8-sig", "cp932"):  # the second is what Excel saves on a Japanese Windows
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Rejected(400, "expected UTF-8 (or Shift_JIS) text, got other bytes")


def _check(header: list[str]) -> None:
    strange = [name for name in header if name not in COLUMNS]
    if strange or not {"id", "name"} <= set(header) or len(set(header)) < len(header):
        raise Rejected(
            400,
            f"line 1: expected a header of {','.join(COLUMNS)} (id and name at least, each once), "
            f"got {','.join(header)[:200]!r}",
        )


def _parsed(line: int, header: list[str], cells: list[str]) -> Line:
    fields = dict(zip(header, cells, strict=False))
    if len(cells) != len(header):
        return line, fields.get("id", ""), Rejected(400, f"expected {len(header)} cells, got {len(cells)}")
    filled = {name: value for name, value in fields.items() if value}
    try:
        return line, fields["id"], NewStaff(**{"id": "", "name": "", **filled})
    except Rejected as no:
        return line, fields["id"], no
