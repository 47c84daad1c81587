"""Writing a document's lines."""

from django.db import connection

from billing.models import Statement, StatementLine
from billing.rating import Figures
from tenants import ids

COLUMNS = (
    "id statement_id tenant_id position kind serial_number config_id product description quantity unit days points unit_price "
    "amount tax_category service_from service_to"
)


def copy_lines(statement: Statement, figures: Figures) -> None:
    """Write the lines with COPY: 400,000 of them are seconds, not minutes.

    PostgreSQL refuses COPY into a table with row-level security, so it goes through a temporary one that lives as long as the session.
    """
    columns, table = COLUMNS.split(), StatementLine._meta.db_table
    names = ", ".join(columns)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS lines_to_write (LIKE {table}) ON COMMIT DELETE ROWS")
        with cursor.copy(f"COPY lines_to_write ({names}) FROM STDIN") as copy:
            for line in figures.lines:
                own = {"id": ids.new_id(), "statement_id": statement.id, "tenant_id": statement.tenant_id}
                copy.write_row([own[name] if name in own else getattr(line, name) for name in columns])
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {names} FROM lines_to_write WHERE statement_id = %s",  # noqa: S608 - constants
            [statement.id],
        )
