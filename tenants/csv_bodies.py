"""CSV in: as careful with size and slow senders as with JSON. What a cell means is for the verb; here it is only text in rows."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from tenants.bodies import asker_of, meta_of
from tenants.body_slots import read_body
from tenants.problems import Problem

LONGEST_CELL = 1_000
BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Row:
    """One line that holds something. `line` as an editor counts them; `cells` by column, stripped."""

    line: int
    cells: Mapping[str, str]


class CsvParser(BaseParser):
    """text/csv in UTF-8, with or without a byte order mark; handed on as {"csv": text}."""

    media_type = "text/csv"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        raw = read_body(stream.read, meta_of(parser_context), asker_of(parser_context))
        try:
            return {"csv": raw.decode("utf-8")}
        except UnicodeDecodeError as error:
            raise ParseError("The body is not UTF-8; save the file as 'CSV UTF-8'.") from error


def read_rows(text: str, *, columns: Sequence[str], most: int) -> Iterator[Row]:
    """The rows below a header that names exactly `columns`, in any order; separated by commas or by semicolons, blank lines left out.

    Problem `invalid` names the line of what is no CSV, too long, or no text that a person typed.
    """
    text = text.removeprefix(BYTE_ORDER_MARK)
    header, _, _ = text.lstrip().partition("\n")
    separator = ";" if ";" in header else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    named: list[str] | None = None
    given = 0
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if not any(stripped):
                continue
            if named is None:
                named = _check_header([cell.lower() for cell in stripped], columns, line=reader.line_num)
                continue
            given += 1
            if given > most:
                raise line_problem(reader.line_num, f"At most {most} lines at once; send the rest in another file.")
            if len(cells) != len(named):
                raise line_problem(reader.line_num, f"{len(named)} columns are wanted and {len(cells)} are there.")
            if any(len(cell) > LONGEST_CELL or not cell.isprintable() for cell in stripped):
                raise line_problem(reader.line_num, "A cell is too long or holds control characters.")
            yield Row(reader.line_num, dict(zip(named, stripped, strict=True)))
    except csv.Error as error:
        raise line_problem(reader.line_num, f"This is not CSV: {error}.") from error
    if named is None:
        raise line_problem(1, f"The first line must name the columns: {separator.join(columns)}.")


def _check_header(named: list[str], columns: Sequence[str], *, line: int) -> list[str]:
    if sorted(named) != sorted(columns):
        raise line_problem(line, f"The first line must name these columns and no others: {', '.join(columns)}.")
    return named


def line_problem(line: int, detail: str) -> Problem:
    """400 `invalid` for one line of a CSV body."""
    return Problem("invalid", f"Line {line}: {detail}", errors=[line_error(line, detail)])


def line_error(line: int, detail: str, *, column: str = "") -> dict[str, str]:
    return {"pointer": f"/lines/{line}" + (f"/{column}" if column else ""), "detail": f"Line {line}: {detail}"}
