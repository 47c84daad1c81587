"""What a creation that is not settled may have made: it is whose operation asked for it, and nobody else's to assign."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from gateway.models import Operation
from gateway.operations.journal import OPEN
from gateway.tags import split_tag

LOOKED_AT = ("kind", "intent", "config_id", "sent_at")


@dataclass(frozen=True, slots=True)
class OpenCreations:
    """`ids`: of them all. `serials`: which one asks for each by name. `cloud_configs`: under which one was sent that has no name, and perhaps
    no tag either (reference 2.4: cloud/create is not documented to keep a description).
    """

    ids: frozenset[UUID]
    serials: Mapping[str, UUID]
    cloud_configs: Mapping[int, UUID]

    def find_maker(self, serial: str, *, config_id: int, upstream_description: str) -> UUID | None:
        """The operation that may have made it, or None."""
        if serial in self.serials:
            return self.serials[serial]
        _, tag = split_tag(upstream_description)
        if tag is None:
            return self.cloud_configs.get(config_id)
        return tag.operation_id if tag.valid and tag.operation_id in self.ids else None


def find_open_creations() -> OpenCreations:
    """Inside an open `acting_as` of the operator or the gateway."""
    found = list(Operation.objects.filter(kind__startswith="create_", state__in=OPEN).only(*LOOKED_AT))
    return OpenCreations(
        ids=frozenset(row.id for row in found),
        serials={serial: row.id for row in found for serial in row.intent.get("serial_numbers", ())},
        cloud_configs={
            row.config_id: row.id
            for row in found
            if row.kind == Operation.Kind.CREATE_CLOUD and row.sent_at is not None and row.config_id is not None
        },
    )
