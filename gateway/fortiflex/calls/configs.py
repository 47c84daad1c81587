"""configs/list, create, update, enable, disable."""

from gateway.fortiflex import records, wire
from gateway.fortiflex.caller import Caller
from gateway.fortiflex.calls.payloads import only_given, read_config
from gateway.fortiflex.records import Answer


class ConfigCalls(Caller):
    def list_configs(self, program_serial: str, *, account_id: int | None = None) -> Answer[list[records.Config]]:
        """configs/list. Without an account: those of every account of the organisation. Disabled ones are included."""
        payload = only_given(programSerialNumber=program_serial, accountId=account_id)
        return self.call(
            "configs/list", payload, lambda e: [wire.read_config(raw) for raw in wire.read_list(e, "configs")]
        )

    def create_config(
        self,
        *,
        program_serial: str,
        name: str,
        product_type_id: int,
        parameters: records.Parameters,
        account_id: int | None = None,
    ) -> Answer[records.Config]:
        """configs/create. Not idempotent. `configs` comes back as an object or an array of one."""
        payload = only_given(
            programSerialNumber=program_serial,
            name=name,
            productTypeId=product_type_id,
            parameters=wire.encode_parameters(parameters),
            accountId=account_id,
        )
        return self.call("configs/create", payload, read_config, writes=True)

    def update_config(
        self, config_id: int, *, name: str | None = None, parameters: records.Parameters | None = None
    ) -> Answer[records.Config]:
        """configs/update. Re-prices every entitlement of the config. Send the full parameter set: what a partial one does is unknown."""
        encoded = None if parameters is None else wire.encode_parameters(parameters)
        return self.call(
            "configs/update", only_given(id=config_id, name=name, parameters=encoded), read_config, writes=True
        )

    def enable_config(self, config_id: int) -> Answer[records.Config]:
        """configs/enable."""
        return self.call("configs/enable", {"id": config_id}, read_config, writes=True)

    def disable_config(self, config_id: int) -> Answer[records.Config]:
        """configs/disable. Its entitlements stop consuming points."""
        return self.call("configs/disable", {"id": config_id}, read_config, writes=True)
