"""A sandbox's world in a JSON file, written atomically: Decimals and times as text, rebuilt by the types of the fields."""

import dataclasses
import json
import os
import types
import typing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from gateway.sandbox.world import World


def save_world(world: World, path: Path) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(_plain(world), indent=1))
    draft.replace(path)


def load_world(path: Path) -> World:
    """ValueError if the file is no sandbox state."""
    try:
        world = _rebuild(json.loads(path.read_text()), World)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no state of this sandbox.") from error
    assert isinstance(world, World)  # noqa: S101 - what _rebuild was asked for
    return world


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _rebuild(value: Any, wanted: Any) -> Any:
    origin = typing.get_origin(wanted)
    if origin in {typing.Union, types.UnionType}:
        if value is None:
            return None
        wanted = next(option for option in typing.get_args(wanted) if option is not type(None))
        return _rebuild(value, wanted)
    if origin is list:
        return [_rebuild(item, typing.get_args(wanted)[0]) for item in value]
    if origin is tuple:
        return tuple(_rebuild(item, option) for item, option in zip(value, typing.get_args(wanted), strict=True))
    if dataclasses.is_dataclass(wanted):
        hints = typing.get_type_hints(wanted)
        made: Any = wanted
        return made(
            **{field.name: _rebuild(value[field.name], hints[field.name]) for field in dataclasses.fields(wanted)}
        )
    if wanted in {datetime, date}:
        return wanted.fromisoformat(value)
    return Decimal(value) if wanted is Decimal else value
