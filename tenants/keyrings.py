"""Numbered, rotatable keys from a setting "id:base64key[,id:base64key…]": the first one writes, all of them read."""

import base64
import binascii
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """Keys by id, 32 bytes each. `newest` is the id that writes."""

    newest: str
    keys: dict[str, bytes]

    def __repr__(self) -> str:
        return f"Keyring(newest={self.newest!r}, ids={sorted(self.keys)!r})"


def parse_keyring(setting: str, *, name: str) -> Keyring:
    """Read the setting called `name`. ImproperlyConfigured for anything but distinct ids and 32-byte keys."""
    keys: dict[str, bytes] = {}
    for part in setting.split(","):
        key_id, _, encoded = part.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if not key_id.isalnum() or key_id in keys or len(key) != 32:
            raise ImproperlyConfigured(f"{name} must be a list of id:base64key with distinct ids and 32-byte keys.")
        keys[key_id] = key
    return Keyring(newest=next(iter(keys)), keys=keys)
