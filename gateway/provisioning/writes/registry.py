"""Which room knows which kind of write."""

from gateway.models import Operation
from gateway.provisioning.writes.changes import Reactivate, RenewToken, Stop, UpdateEntitlement
from gateway.provisioning.writes.configs import CreateConfig, SwitchConfig, UpdateConfig
from gateway.provisioning.writes.creates import CreateCloud, CreateHardware, CreateVms
from gateway.provisioning.writes.moves import RemoveHardware, Transfer
from gateway.provisioning.writes.write import Write

Kind = Operation.Kind
WRITES: dict[str, Write] = {
    Kind.CREATE_VM: CreateVms(),
    Kind.CREATE_HARDWARE: CreateHardware(),
    Kind.CREATE_CLOUD: CreateCloud(),
    Kind.UPDATE_ENTITLEMENT: UpdateEntitlement(),
    Kind.STOP: Stop(),
    Kind.REACTIVATE: Reactivate(),
    Kind.RENEW_TOKEN: RenewToken(),
    Kind.CREATE_CONFIG: CreateConfig(),
    Kind.UPDATE_CONFIG: UpdateConfig(),
    Kind.ENABLE_CONFIG: SwitchConfig("ACTIVE"),
    Kind.DISABLE_CONFIG: SwitchConfig("DISABLED"),
    Kind.TRANSFER: Transfer(),
    Kind.REMOVE_HARDWARE: RemoveHardware(),
}
