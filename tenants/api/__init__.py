"""The base of every API view, and the ground floor's own views."""

from tenants.api.base import ApiView
from tenants.api.etags import etag_of

__all__ = ["ApiView", "etag_of"]
