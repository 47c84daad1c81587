"""Which API user an account is read through, held still while a write of it is planned.

Who gives the account to another API user locks its row (`by_hand.enter_account`) and looks for unsettled writes; who plans one holds the row
until the plan is committed. So either the plan is seen and the account stays, or the plan sees the new API user. FOR KEY SHARE, because
plans go side by side, and beside a pass of the mirror, which locks the row before it locks entitlements (FOR NO KEY UPDATE); a plan has locked its
entitlements by now.
"""

from collections.abc import Collection
from uuid import UUID

from django.db import connection

# As part of another question: (program, account).
HELD = "SELECT api_user_id FROM gateway_programaccount WHERE program_id = %s AND account_id = %s FOR KEY SHARE"
ALL_HELD = """
    SELECT account.program_id, account.account_id, account.api_user_id FROM gateway_programaccount account
    JOIN unnest(%s::text[], %s::bigint[]) AS wanted (program_id, account_id)
      ON wanted.program_id = account.program_id AND wanted.account_id = account.account_id
    ORDER BY account.id FOR KEY SHARE OF account
"""


def hold_readers(places: Collection[tuple[str, int]]) -> dict[tuple[str, int], UUID]:
    """The API user's id of each (program, account), until this transaction ends. Inside an open context of the operator or the gateway."""
    wanted = sorted(set(places))
    with connection.cursor() as cursor:
        cursor.execute(ALL_HELD, [[program for program, _ in wanted], [account for _, account in wanted]])
        return {(program, account): api_user_id for program, account, api_user_id in cursor.fetchall()}
