"""What monitoring reads: requests of this process as they happen, and the state that apps look up when they are asked.

No label names a tenant, a serial or an address: a monitoring system is read by more people than the gateway.
"""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

registry = CollectorRegistry()
requests = Counter(
    "flexgate_requests", "Requests answered, by route pattern.", ["method", "route", "status"], registry=registry
)
seconds = Histogram(
    "flexgate_request_seconds",
    "How long answers took.",
    ["method", "route"],
    registry=registry,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40),
)
Readings = Iterable[tuple[str, str, dict[str, float]]]
_readers: list[Callable[[], Readings]] = []


def observe_request(*, method: str, route: str, status: int, took: float) -> None:
    """Count one answer. `route` is the pattern, never the path; what no route knows counts as one."""
    known = method if method in {"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"} else "other"
    requests.labels(known, route, str(status)).inc()
    seconds.labels(known, route).observe(took)


def register_reader(reader: Callable[[], Readings]) -> None:
    """`reader` is called at each scrape and yields (name, meaning, {"label text": value}). Apps call this in ready()."""
    _readers.append(reader)


class StateCollector(Collector):
    """Asks every reader anew; nothing is kept between scrapes."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for reader in _readers:
            for name, meaning, values in reader():
                family = GaugeMetricFamily(f"flexgate_{name}", meaning, labels=["of"])
                for label, value in values.items():
                    family.add_metric([label], value)
                yield family


registry.register(StateCollector())


def render_metrics() -> bytes:
    """Everything, in Prometheus' text format."""
    return generate_latest(registry)
