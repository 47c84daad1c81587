"""Rows that are written once and never changed: what happened, and who did it."""


class AppendOnly:
    """A mark on a model. Nothing else in the transaction that writes such a row depends on it."""
