"""Refresh the mirror through one API user."""

from gateway.fortiflex.client import FortiFlexClient
from gateway.mirror.hold import hold_pass
from gateway.mirror.passes import Pass, Progress
from gateway.mirror.refusals import Refusals
from gateway.mirror.reports import SyncReport
from gateway.models import ApiUser
from gateway.ownership import ensure_flipped
from gateway.upstream import client_for


def sync_api_user(
    api_user: ApiUser,
    *,
    client: FortiFlexClient | None = None,
    progress: Progress = lambda _: None,
    ask_refused: bool = False,
) -> SyncReport:
    """Mirror programs, configs and entitlements of every account that is read through `api_user`.

    One pass at a time: PassUnderWay if there is another. Raises FortiFlexError only where nothing at all could be read (no lane, login
    refused); everything else is in the report. `ask_refused` = ask again what was refused lately, too.
    """
    ensure_flipped()
    with hold_pass(api_user) as hold:
        under_way = Pass(
            api_user=api_user,
            client=client or client_for(api_user, interactive=False),
            hold=hold,
            refusals=Refusals.of(api_user),
            progress=progress,
            ask_refused=ask_refused,
            report=SyncReport(api_user.name),
        )
        under_way.run()
    return under_way.report
