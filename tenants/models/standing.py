"""Small rows that processes share: leases and rate buckets."""

from django.db import models


class Lease(models.Model):
    """The right to do one named piece of work alone, for a while. A dead holder's lease runs out by itself."""

    name = models.CharField(max_length=100, primary_key=True)
    holder = models.UUIDField(null=True)
    held_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class RateBucket(models.Model):
    """How much of a rate is used: all of it is free again at `full_at`. An unlogged table: a crash empties it, and that is fine."""

    key = models.CharField(max_length=120, primary_key=True)
    full_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key
