"""Whether more than its owner depend on a config: one edit of it changes what they pay for, so that is the operator's alone."""

from gateway.models import Config, Entitlement, Operation

MANAGED = "More than you depend on this configuration, so your operator alone can change it."
MAY_BE_SHARED = (
    "may_be_shared"  # noted with a planned change: whoever asked for it may change what others depend on, too
)


def is_shared(config: Config) -> bool:
    """Inside a context of the gateway."""
    strangers = Entitlement.objects.filter(config=config).exclude(tenant=config.tenant)
    nobodys = Entitlement.objects.filter(config=config, tenant_id__isnull=True)
    return strangers.exists() or nobodys.exists() or config.offers.exists()


def came_to_be_shared(operation: Operation) -> bool:
    """Whether others depend by now on the config that a planned change of its owner is about.

    The locks make a hand-over that is under way wait, or be seen. In the transaction that claims it.
    """
    if operation.before.get(MAY_BE_SHARED, False):
        return False
    config = Config.objects.get(id=operation.config_id or 0)
    under = Entitlement.objects.filter(config=config).order_by("pk")
    list(under.select_for_update(of=("self",)).values_list("pk", flat=True))
    return config.tenant_id != operation.tenant_id or is_shared(config)
