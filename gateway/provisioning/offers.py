"""Offers: the operator lets a tenant use a config of the catalogue, which stays the operator's."""

from gateway.models import Config, ConfigOffer
from gateway.provisioning import checks
from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem, invalid, not_found


def offer_config(actor: Actor, config_id: int, *, tenant_slug: str) -> bool:
    """Let a tenant use a config of the catalogue; False if it could already. Only the operator's own configs can be offered."""
    with acting_as(actor):
        row = checks.find_config(actor, config_id)
        tenant = Tenant.objects.visible_to(actor).filter(slug=tenant_slug).first()
        if tenant is None:
            raise invalid("/tenant", "There is no such tenant.")
        if row.tenant_id is not None:
            raise Problem(
                "state_conflict", "This configuration belongs to a tenant; only the catalogue's can be offered."
            )
        _, made = ConfigOffer.objects.get_or_create(config=row, tenant=tenant)
        if made:
            _audit_offer(actor, "config.offered", row, tenant)
    return made


def withdraw_offer(actor: Actor, config_id: int, *, tenant_slug: str) -> None:
    """Take an offer back; entitlements under the config stay. Problem `not_found` if there is no such offer."""
    with acting_as(actor):
        row = checks.find_config(actor, config_id)
        offer = ConfigOffer.objects.select_related("tenant").filter(config=row, tenant__slug=tenant_slug).first()
        if offer is None:
            raise not_found()
        _audit_offer(actor, "config.withdrawn", row, offer.tenant)
        offer.delete()


def _audit_offer(actor: Actor, action: str, config: Config, tenant: Tenant) -> None:
    record_audit(
        actor,
        action,
        subject_type="config",
        subject_key=config.id,
        tenant_id=tenant.id,
        after={"config": config.id, "tenant": tenant.slug},
    )
