"""Creating and changing configs. A new one is found again by its name, whose suffix is the operation's own."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.catalogue import as_parameters
from gateway.config_names import join_suffix, split_suffix
from gateway.fortiflex import records
from gateway.fortiflex.client import FortiFlexClient
from gateway.fortiflex.records import Answer
from gateway.models import Attempt, Config, Entitlement, Operation
from gateway.operations import Plan, serials_led_to
from gateway.provisioning.writes.moves import plan_transfer
from gateway.provisioning.writes.storing import store_config
from gateway.provisioning.writes.write import Finding, Stored, Verdict, WrongAnswer


class CreateConfig:
    """configs/create. Not idempotent."""

    def build_request(self, operation: Operation, tag: str) -> dict[str, Any]:
        intent = operation.intent
        return {
            "program_serial": operation.program_serial,
            "account_id": operation.account_id,
            "name": join_suffix(intent["name"], operation.id),
            "product_type_id": intent["product_type_id"],
            "parameters": intent["parameters"],
        }

    def send(self, client: FortiFlexClient, request: dict[str, Any]) -> Answer[records.Config]:
        return client.create_config(**(request | {"parameters": as_parameters(request["parameters"])}))

    def store(self, operation: Operation, value: records.Config) -> Stored:
        # A pass of the mirror may have stored it already, as the operator's: this operation knows whose it is.
        row = store_config(value)
        if row.tenant_id != operation.tenant_id:
            row.tenant_id = operation.tenant_id
            row.save(update_fields=["tenant"])
        return Stored(config_id=row.id, followups=follow_config(operation, row))

    def look(self, client: FortiFlexClient, operation: Operation, attempt: Attempt) -> Finding:
        found = _listed(client, operation)
        named = [record for record in found if record.name == attempt.request["name"]]
        seen = {"looked_at": f"configs/list of {operation.program_serial}/{operation.account_id}", "listed": len(found)}
        seen |= {"found": [record.id for record in named]}
        if not named:
            return Finding(Verdict.ABSENT, seen=seen)
        if len(named) > 1 or named[0].product_type_id != attempt.request["product_type_id"]:
            return Finding(Verdict.UNCLEAR, seen=seen | {"why": "the name is ours and the content is not"})
        return Finding(Verdict.DONE, value=named[0], seen=seen)


class UpdateConfig:
    """configs/update with the full parameter set; re-prices every entitlement of the config."""

    def build_request(self, operation: Operation, tag: str) -> dict[str, Any]:
        intent = operation.intent
        row = Config.objects.get(id=operation.config_id or 0)
        return {
            "config_id": row.id,
            "name": _rename(row.upstream_name, intent["name"]) if intent.get("name") else None,
            "parameters": intent.get("parameters"),
        }

    def send(self, client: FortiFlexClient, request: dict[str, Any]) -> Answer[records.Config]:
        parameters = None if request["parameters"] is None else as_parameters(request["parameters"])
        return client.update_config(request["config_id"], name=request["name"], parameters=parameters)

    def store(self, operation: Operation, value: records.Config) -> Stored:
        return _store_changed(operation, value)

    def look(self, client: FortiFlexClient, operation: Operation, attempt: Attempt) -> Finding:
        request = attempt.request

        def is_there(record: records.Config) -> bool:
            return request["name"] in {None, record.name} and _has_values(record, request["parameters"] or [])

        return _read_back(client, operation, is_there)


class SwitchConfig:
    """configs/enable and configs/disable. Entitlements of a disabled config stop consuming points."""

    def __init__(self, status: str) -> None:
        self._status = status

    def build_request(self, operation: Operation, tag: str) -> dict[str, Any]:
        return {"config_id": operation.config_id}

    def send(self, client: FortiFlexClient, request: dict[str, Any]) -> Answer[records.Config]:
        switch = client.enable_config if self._status == "ACTIVE" else client.disable_config
        return switch(request["config_id"])

    def store(self, operation: Operation, value: records.Config) -> Stored:
        return _store_changed(operation, value)

    def look(self, client: FortiFlexClient, operation: Operation, attempt: Attempt) -> Finding:
        return _read_back(client, operation, lambda record: record.status == self._status)


def _has_values(config: records.Config, wanted: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every parameter in `wanted` has these values and no others: of one that takes several, a value that was to go still stands
    where nothing was done. What is not in `wanted` is not asked about.
    """
    standing, meant = defaultdict[int, set[str]](set), defaultdict[int, set[str]](set)
    for parameter in config.parameters:
        standing[parameter.id].add(parameter.value)
    for item in wanted:
        meant[int(item["id"])].add(str(item["value"]))
    return all(standing[parameter_id] == values for parameter_id, values in meant.items())


def _rename(upstream_name: str, name: str) -> str:
    """`name` with the suffix that stands there; one made elsewhere has none, and keeps none."""
    _, operation_id = split_suffix(upstream_name)
    return name if operation_id is None else join_suffix(name, operation_id)


def _store_changed(operation: Operation, value: records.Config) -> Stored:
    if value.id != operation.config_id:
        raise WrongAnswer(f"The answer is about config {value.id}.")
    row = store_config(value)
    return Stored(operation.serial_numbers, value.id, followups=follow_config(operation, row))


def follow_config(operation: Operation, config: Config) -> list[Plan]:
    """What was asked for together with the config, once it is as it should be: a change of one entitlement, or a transfer into it.

    Nobody's who lost it meanwhile: whether it is still theirs is asked again when it is sent.
    """
    intent = operation.intent
    theirs = Entitlement.objects.filter(serial_number__in=serials_led_to(intent), tenant=operation.tenant)
    rows = list(theirs.order_by("pk"))
    if not rows:
        return []
    if "transfer" in intent:
        plan = plan_transfer(
            rows, api_user_id=operation.api_user_id, target_config=config.id, target_account=config.account_id
        )
        return [replace(plan, intent={**plan.intent, "follows": str(operation.id)})]
    changes = {name: value for name, value in intent["entitlement"].items() if name != "serial"}
    return [
        Plan(
            kind=Operation.Kind.UPDATE_ENTITLEMENT,
            tenant_id=operation.tenant_id,
            api_user_id=operation.api_user_id,
            program_serial=operation.program_serial,
            account_id=operation.account_id,
            config_id=config.id,
            serial_numbers=[rows[0].serial_number],
            intent=changes | {"config_id": config.id, "follows": str(operation.id)},
            before={"config_id": rows[0].config_id},
            # What a copy was made for costs more once it stands under it; a config that was resized costs it already.
            points_per_day=operation.points_per_day if operation.kind == Operation.Kind.CREATE_CONFIG else None,
        )
    ]


def _listed(client: FortiFlexClient, operation: Operation) -> list[records.Config]:
    return client.list_configs(operation.program_serial, account_id=operation.account_id).value


def _read_back(client: FortiFlexClient, operation: Operation, is_there: Any) -> Finding:
    found = next((record for record in _listed(client, operation) if record.id == operation.config_id), None)
    seen: dict[str, Any] = {"looked_at": f"configs/list of {operation.program_serial}/{operation.account_id}"}
    if found is None:
        return Finding(Verdict.UNSEEN, seen=seen | {"why": "FortiFlex does not list it"})
    seen |= {"status": found.status, "name": found.name}
    return Finding(Verdict.DONE if is_there(found) else Verdict.ABSENT, value=found, seen=seen)
