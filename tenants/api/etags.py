"""Tags of answers, by which a caller tells whether anything changed."""

import hashlib
import re
from typing import Any

from tenants.bodies import dump_json

# `seen_at` changes with every sync though nothing else did. A quotation mark inside a value is escaped, so this finds members alone.
NOT_IN_ETAG = re.compile(rb'"seen_at":(?:null|"(?:[^"\\]|\\.)*")')


def etag_of(data: Any) -> str:
    """A weak tag over the answer as this caller sees it, without `seen_at`."""
    return etag_of_body(dump_json(data))


def etag_of_body(body: bytes) -> str:
    return f'W/"{hashlib.sha256(NOT_IN_ETAG.sub(b"", body)).hexdigest()[:32]}"'


def read_etags(header: str) -> set[str]:
    """Those that If-Match or If-None-Match names."""
    return {part.strip() for part in header.split(",") if part.strip()}
