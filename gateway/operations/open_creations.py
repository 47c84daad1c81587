"""What a creation that is not settled may have made: it is whose operation asked for it, nobody else's to assign and no news from outside."""

from dataclasses import dataclass
from uuid import UUID

from gateway.models import Operation
from gateway.operations.journal import OPEN
from gateway.tags import split_tag

LOOKED_AT = ("kind", "intent", "config_id", "sent_at")


@dataclass(frozen=True, slots=True)
class OpenCreations:
    """`ids`: of them all. `serials`: what they ask for by name. `cloud_configs`: under which one was sent that has no name, and perhaps no
    tag either (reference 2.4: cloud/create is not documented to keep a description).
    """

    ids: frozenset[UUID]
    serials: frozenset[str]
    cloud_configs: frozenset[int]

    def may_have_made(self, serial: str, *, config_id: int, upstream_description: str) -> bool:
        if serial in self.serials:
            return True
        _, tag = split_tag(upstream_description)
        if tag is None:
            return config_id in self.cloud_configs
        return tag.valid and tag.operation_id in self.ids


def find_open_creations() -> OpenCreations:
    """Inside an open `acting_as` of the operator or the gateway."""
    found = list(Operation.objects.filter(kind__startswith="create_", state__in=OPEN).only(*LOOKED_AT))
    return OpenCreations(
        ids=frozenset(row.id for row in found),
        serials=frozenset(serial for row in found for serial in row.intent.get("serial_numbers", ())),
        cloud_configs=frozenset(
            row.config_id
            for row in found
            if row.kind == Operation.Kind.CREATE_CLOUD and row.sent_at is not None and row.config_id is not None
        ),
    )
