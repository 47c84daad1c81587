"""What FortiFlex sells: the answer of tools/metadata, kept so that checks and `products` need no call."""

from django.db import models

from tenants import clock
from tenants.jsonfields import ExactJSONField


class ProductCatalogue(models.Model):
    """The product types of one API URL, as tools/metadata told them at `fetched_at` (the raw `productTypes` list)."""

    api_url = models.CharField(max_length=300, primary_key=True)
    fetched_at = models.DateTimeField(default=clock.now)
    product_types = ExactJSONField(default=list)

    def __str__(self) -> str:
        return self.api_url
