"""Every model of billing, by room."""

from billing.models.prices import Rate
from billing.models.statements import Series, Statement, StatementLine, StatementRun

__all__ = ["Rate", "Series", "Statement", "StatementLine", "StatementRun"]
