"""Points and owners meet in the ledger: whoever stores a day and whoever changes an owner must not look past each other.

A lock of PostgreSQL's that ends with its transaction: changes of owner go side by side (their rows' locks order them), and a day is stored
while none of them is under way. Both take it before they look at anything.
"""

from django.db import connection

LOCK = 7_305_114  # the one number of this kind
WAIT_FOR_STORED_DAYS = f"SELECT pg_advisory_xact_lock_shared({LOCK})"


def wait_for_changes_of_owner() -> None:
    """Taken by who stores points or flips the owners at midnight, inside its transaction: every committed owner is seen, and no other commits
    meanwhile.
    """
    _run(f"SELECT pg_advisory_xact_lock({LOCK})")


def wait_for_stored_days() -> None:
    """Taken by who changes an owner, inside its transaction: every committed day is seen, and no other commits meanwhile."""
    _run(WAIT_FOR_STORED_DAYS)


def _run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
