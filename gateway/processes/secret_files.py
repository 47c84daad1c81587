"""Secrets for practising: generated once under the data folder, readable by their owner alone."""

import base64
import os
import secrets
from pathlib import Path


def read_or_create(data_dir: Path, name: str) -> str:
    """The secret called `name`; made on first use, the same for every process that asks at the same time."""
    folder = data_dir / "secrets"
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        draft = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
        draft.touch(mode=0o600)
        draft.write_text(_generate(name))
        try:
            os.link(draft, path)  # atomic, and never over an existing one: the first process wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()


def _generate(name: str) -> str:
    if name.endswith(("_PEPPERS", "_KEYS")):
        return f"1:{base64.b64encode(secrets.token_bytes(32)).decode()}"
    return secrets.token_urlsafe(48)
