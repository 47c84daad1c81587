"""Draft and issue statements. Issued means frozen: the database refuses every change from then on."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import structlog

from billing.documents import (
    describe_buyer,
    describe_draft,
    describe_line,
    describe_statement,
    describe_tax,
    hash_document,
    hashed_content,
)
from billing.gather import gather_usage
from billing.lines import copy_lines
from billing.models import Series, Statement, StatementRun
from billing.money import ROUNDING_RULE
from billing.rating import Figures, TaxProfile, rate_usage
from billing.readiness import (
    MonthFacts,
    check_month,
    read_facts,
    tax_profile,
    why_billed_twice,
    why_unknown,
    why_unpriced,
)
from billing.seller import describe_seller
from billing.series import lock_series, next_number
from gateway.days import today
from gateway.fortiflex.days import billing_day_at, month_bounds
from gateway.ledger.calibrate import recalibrate_all
from gateway.ledger.report import ConservationReport, check_conservation, describe_completeness
from gateway.ownership import ensure_flipped
from tenants import clock
from tenants.actors import Actor, system
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.events import record_event
from tenants.models import Tenant

BILLING = system("billing")
PAYMENT_DAYS = 30
NO_TAX = TaxProfile(
    "", Decimal(0)
)  # a draft of a tenant without a tax profile shows no tax, and why it can't be issued
log = structlog.get_logger("flexgate.billing")
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class RunReport:
    """What a run did: numbers issued, tenants already issued, tenants with nothing to bill, and why others were not issued."""

    month: str
    conservation: ConservationReport
    completeness: str
    issued: dict[str, str] = field(default_factory=dict)
    already: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def went_well(self) -> bool:
        return not self.refused and self.conservation.holds


def draft_statement(actor: Actor, tenant: Tenant, month: str) -> dict[str, Any]:
    """The month as it would be billed now, for any month at any time; `warnings` says what is still open. Problem `invalid` for no month."""
    first, last = month_bounds(month)
    with acting_as(BILLING):
        facts = read_facts(first, min(last, today() - timedelta(days=1)))
        gathered = gather_usage(tenant, first, last)
        figures = rate_usage(
            gathered.usage, currency=tenant.currency, tax=tax_profile(tenant.billing_profile) or NO_TAX
        )
        reasons = [why_unknown(tenant, facts), why_unpriced(tenant, gathered.unpriced_from)]
    warnings = [reason for reason in reasons if reason]
    if warnings and not actor.sees_every_tenant:
        warnings = [
            "it can't be billed as it stands yet; your provider sees why"
        ]  # the reasons name accounts that others use
    if last >= today():
        warnings.append("the month is not over")
    header = {
        "number": f"draft-{month}-{tenant.slug.upper()}",
        "kind": "statement",
        "period": {"from": first, "to": last},
        "status": "draft",
        "issued_at": None,
        "due_on": None,
        "seller": describe_seller(),
        "references": [],
        "rounding_rule": ROUNDING_RULE,
        "hash": None,
        "previous_hash": None,
        "warnings": warnings,
    }
    return describe_draft(tenant, figures, header=header)


def issue_statements(
    actor: Actor, *, month: str, slugs: Collection[str] | None = None, progress: Progress = lambda done, total: None
) -> RunReport:
    """Issue `month` for every tenant (or those named) that can be. A second run issues nothing twice. Problem `invalid` for the month.

    One tenant's trouble is in the report and stops no other. Issue time and due dates are fixed here, for all.
    """
    ensure_flipped()
    issued_at = clock.now()
    first, last = check_month(month, now=issued_at)
    recalibrate_all()
    with acting_as(BILLING):
        facts = read_facts(first, last)
        report = RunReport(month, check_conservation(first, last), describe_completeness(list(facts.account_days)))
        run = StatementRun.objects.create(
            month=month, issued_at=issued_at, asked_by=actor.name, conservation=_as_record(report)
        )
        tenants = Tenant.objects.filter(internal=False).order_by("slug")
        chosen = list(tenants if slugs is None else tenants.filter(slug__in=slugs))
    for done, tenant in enumerate(chosen, start=1):
        try:
            _issue_one(actor, tenant, run, facts, report)
        except Exception:
            log.exception("a tenant was not issued", tenant=tenant.slug, month=month)
            report.refused[tenant.slug] = "of an error on our side, which was logged"
        progress(done, len(chosen))
    with acting_as(BILLING):
        run.manifest = _read_manifest(report) | {"everybody": slugs is None or len(chosen) == tenants.count()}
        run.save(update_fields=["manifest"])
    return report


def _issue_one(actor: Actor, tenant: Tenant, run: StatementRun, facts: MonthFacts, report: RunReport) -> None:
    with acting_as(BILLING):
        series = lock_series(tenant)
        done = Statement.objects.filter(tenant=tenant, period_from=facts.first, kind="statement").first()
        if done is not None:
            report.already[tenant.slug] = done.number
            return
        if not report.conservation.holds:
            report.refused[tenant.slug] = "points do not add up to what FortiFlex said; see the conservation line"
            return
        gathered = gather_usage(tenant, facts.first, facts.last)
        reason = why_unknown(tenant, facts)
        if reason is None and not gathered.usage:
            report.empty.append(tenant.slug)  # nothing to bill, no document
            return
        reason = (
            reason or why_unpriced(tenant, gathered.unpriced_from) or why_billed_twice(tenant, gathered.usage, facts)
        )
        tax = tax_profile(tenant.billing_profile)
        if reason is not None or tax is None:
            report.refused[tenant.slug] = reason or "it has no tax profile"
            return
        figures = rate_usage(gathered.usage, currency=tenant.currency, tax=tax)
        number = next_number(series, tenant, issued_on=billing_day_at(run.issued_at))
        statement = _write_statement(tenant, run, facts, figures, number=number, previous_hash=series.last_hash)
        series.last_hash = statement.hash
        series.save()
        record_audit(
            actor,
            "statement.issued",
            subject_type="statement",
            subject_key=number,
            tenant_id=tenant.id,
            after={"total": str(statement.total), "hash": statement.hash},
        )
        record_event(
            "statement.issued",
            subject_type="statement",
            subject_key=number,
            tenant_id=tenant.id,
            data={"month": run.month},
        )
        report.issued[tenant.slug] = number


def _write_statement(
    tenant: Tenant, run: StatementRun, facts: MonthFacts, figures: Figures, *, number: str, previous_hash: str
) -> Statement:
    """Draft, lines by COPY, issued: all in the caller's transaction. The triggers let lines in only while the draft can be read."""
    payment_days = int(tenant.billing_profile.get("payment_days", PAYMENT_DAYS))
    statement = Statement(
        tenant=tenant,
        run=run,
        number=number,
        status="draft",
        period_from=facts.first,
        period_to=facts.last,
        currency=tenant.currency,
        issued_at=run.issued_at,
        due_on=billing_day_at(run.issued_at) + timedelta(days=payment_days),
        seller=describe_seller(),
        buyer=describe_buyer(tenant),
        rounding_rule=ROUNDING_RULE,
        net=figures.net,
        taxes=[describe_tax(tax) for tax in figures.taxes],
        total=figures.total,
        previous_hash=previous_hash,
    )
    statement.hash = hash_document(hashed_content(_describe(statement, figures)), previous_hash)
    statement.save(force_insert=True)
    copy_lines(statement, figures)
    statement.status = "issued"
    statement.save(update_fields=["status"])
    return statement


def _describe(statement: Statement, figures: Figures) -> dict[str, Any]:
    described = describe_statement(statement, [])
    described["lines"] = [describe_line(line, statement.currency) for line in figures.lines]
    return described


def _as_record(report: RunReport) -> dict[str, Any]:
    conservation = report.conservation
    return {
        "fetched": str(conservation.fetched),
        "attributed": str(conservation.attributed),
        "unassigned": str(conservation.unassigned),
        "holds": conservation.holds,
        "completeness": report.completeness,
    }


def _read_manifest(report: RunReport) -> dict[str, Any]:
    """What the run issued, and the head of every series, so that a cut tail shows."""
    heads = Series.objects.select_related("tenant").order_by("tenant__slug")
    return {
        "issued": report.issued,
        "refused": report.refused,
        "heads": {
            series.tenant.slug: {"number": series.last_number, "year": series.year, "hash": series.last_hash}
            for series in heads
        },
    }
