"""The operator as documents print it."""

from typing import Any

from django.conf import settings


def describe_seller() -> dict[str, Any]:
    printed: dict[str, Any] = {"name": settings.FLEXGATE_SELLER_NAME}
    if settings.FLEXGATE_SELLER_ADDRESS:
        printed["address"] = settings.FLEXGATE_SELLER_ADDRESS
    if settings.FLEXGATE_SELLER_TAX_ID:
        printed["tax_id"] = settings.FLEXGATE_SELLER_TAX_ID
    return printed
