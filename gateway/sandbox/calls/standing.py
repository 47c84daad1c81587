"""What making and changing entitlements share."""

import secrets
from datetime import datetime

from gateway.sandbox import checks
from gateway.sandbox.calls.call import Call
from gateway.sandbox.clock import pacific_day, pacific_midnight
from gateway.sandbox.refusals import Refusal
from gateway.sandbox.world import Config, Entitlement, Program


def config_of(call: Call, item: Entitlement) -> Config:
    config = call.world.config(item.now.config_id)
    if config is None:
        raise Refusal("Configuration not found.")
    return config


def end_of(call: Call, program: Program) -> datetime:
    end = checks.moment(call.body, "endDate")
    if end is None:
        return program.end
    if end < pacific_midnight(pacific_day(call.now)) or end > program.end:
        raise Refusal("endDate must be between today and the end of the program.")
    return end


def new_token() -> str:
    return secrets.token_hex(10).upper()
