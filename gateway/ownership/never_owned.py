"""What never had an owner: all that rules and tags may speak of. What was assigned once, also for days to come, or taken away, was on purpose."""

from django.db.models import Exists, OuterRef, QuerySet

from gateway.models import Assignment, Entitlement


def find_never_owned() -> "QuerySet[Entitlement]":
    """Inside an open `acting_as` of somebody who sees every tenant."""
    had_owner = Assignment.objects.filter(serial_number=OuterRef("serial_number"))
    return Entitlement.objects.filter(~Exists(had_owner), tenant__isnull=True)


def lock_unowned() -> None:
    """Whoever assigns one of what nobody owns today is waited for, and seen by whoever looks afterwards; nobody else assigns any meanwhile."""
    list(Entitlement.objects.select_for_update().filter(tenant__isnull=True).order_by("pk").values_list("pk"))
