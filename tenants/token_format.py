"""How a token looks: fxg_<tenant|operator>_<live|test>_<id, 32 hex>_<secret, 40 base62>_<checksum, 6 base62 of CRC-32>.

Kind and environment can be read; the checksum tells a typo from an attack without a look-up, and secret scanners can match
`fxg_(tenant|operator)_(live|test)_[0-9a-f]{32}_[0-9A-Za-z]{40}_[0-9A-Za-z]{6}`.
"""

import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from uuid import UUID

BASE62 = string.digits + string.ascii_letters
SECRET_LENGTH = 40
FORMAT = re.compile(r"fxg_(tenant|operator)_(live|test)_([0-9a-f]{32})_([0-9A-Za-z]{40})_([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True, repr=False)
class PresentedToken:
    """What a well-formed token says of itself, before anything was looked up."""

    kind: str
    environment: str
    token_id: UUID
    secret: str

    def __repr__(self) -> str:
        return f"PresentedToken(kind={self.kind!r}, token_id={self.token_id})"


def make_secret() -> str:
    """40 base62 characters from the system's randomness: 238 bits."""
    return "".join(secrets.choice(BASE62) for _ in range(SECRET_LENGTH))


def format_token(*, kind: str, environment: str, token_id: UUID, secret: str) -> str:
    body = f"fxg_{kind}_{environment}_{token_id.hex}_{secret}"
    return f"{body}_{_checksum(body)}"


def parse_token(text: str, *, environment: str) -> PresentedToken | None:
    """What `text` says of itself; None for anything cut, mistyped or made for another environment."""
    match = FORMAT.fullmatch(text)
    if match is None or match[2] != environment:
        return None
    if not hmac.compare_digest(_checksum(text[: match.start(5) - 1]), match[5]):
        return None
    return PresentedToken(match[1], match[2], UUID(hex=match[3]), match[4])


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits = BASE62[rest] + digits
    return digits
