"""Fortinet's secrets at rest: AES-GCM, each ciphertext bound to the row it belongs to, so that it can't be moved to another."""

import base64
import os
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from tenants.keyrings import Keyring, parse_keyring

NONCE_BYTES = 12


class SecretUnreadable(Exception):
    """The ciphertext doesn't belong to this row, or its key is not configured. Says which key id, never the text."""


@cache
def _keyring() -> Keyring:
    return parse_keyring(settings.FLEXGATE_CREDENTIAL_KEYS, name="FLEXGATE_CREDENTIAL_KEYS")


@cache
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(key)


def is_current(cipher: str) -> bool:
    """Whether the newest key wrote it."""
    return cipher.partition(".")[0] == _keyring().newest


def encrypt_text(text: str, *, bound_to: str) -> str:
    """`keyid.base64(nonce + ciphertext)`. `bound_to` names table, row and column, such as "api_user:<id>:password"."""
    ring = _keyring()
    nonce = os.urandom(NONCE_BYTES)
    sealed = _cipher(ring.keys[ring.newest]).encrypt(nonce, text.encode(), f"{ring.newest}:{bound_to}".encode())
    return f"{ring.newest}.{base64.b64encode(nonce + sealed).decode()}"


def decrypt_text(cipher: str, *, bound_to: str) -> str:
    """The text again. SecretUnreadable if the key is gone or the ciphertext was written for something else."""
    key_id, _, encoded = cipher.partition(".")
    key = _keyring().keys.get(key_id)
    if key is None:
        raise SecretUnreadable(f"Credential key {key_id!r} is not among FLEXGATE_CREDENTIAL_KEYS.")
    blob = base64.b64decode(encoded)
    try:
        text = _cipher(key).decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], f"{key_id}:{bound_to}".encode())
    except InvalidTag as error:
        raise SecretUnreadable(
            f"The secret stored for {bound_to.rpartition(':')[0]} was not written for it."
        ) from error
    return text.decode()
