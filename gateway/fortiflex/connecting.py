"""The network under every call: a connection for each request, never used before, and in a burst made while the call before is under way.

httpx's own transport keeps a pool, which we must not use, and connects when a request is there; what it stands on, httpcore, need not.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpcore
import httpx

from gateway.fortiflex.spares import Spares

CONNECT_SECONDS = 5.0
TLS = b"https"
PORTS = {b"http": 80, TLS: 443}


class FreshConnections(httpx.BaseTransport):
    """For any number of threads. No proxy variable of the host is looked at: a proxy must not see credentials."""

    def __init__(self) -> None:
        self._ssl_context = httpx.create_ssl_context(trust_env=False)  # takes 30 ms
        self._ssl_context.set_alpn_protocols(["http/1.1"])
        self._network = httpcore.SyncBackend()
        self._spares = Spares(self._open)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        origin = _origin_of(request.url)
        url = httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=request.url.raw_path)
        asked = httpcore.Request(
            request.method,
            url,
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        spare = self._spares.take((origin.scheme, origin.host, origin.port))
        network = self._network if spare is None else _Made(spare, secured=origin.scheme == TLS)
        connection = httpcore.HTTPConnection(origin, self._ssl_context, network_backend=network)
        try:
            with _as_httpx():
                answer = connection.handle_request(asked)
        except BaseException:
            connection.close()
            if spare is not None:
                spare.close()  # where it was not even used, `connection` does not know it
            raise
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(connection, answer))

    def close(self) -> None:
        self._spares.close()

    def _open(self, place: tuple[bytes, bytes, int]) -> httpcore.NetworkStream:
        scheme, host, port = place[0], place[1].decode(), place[2]
        stream = self._network.connect_tcp(host, port, timeout=CONNECT_SECONDS)
        if scheme == TLS:
            stream = stream.start_tls(self._ssl_context, server_hostname=host, timeout=CONNECT_SECONDS)
        return stream


class _Made(httpcore.NetworkBackend):
    """Gives the one connection that is there already; what has TLS gets none again."""

    def __init__(self, stream: httpcore.NetworkStream, *, secured: bool) -> None:
        self._stream = _Secured(stream) if secured else stream

    def connect_tcp(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        return self._stream


class _Secured(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def start_tls(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        return self._stream

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()


class _Body(httpx.SyncByteStream):
    """The connection ends with its only answer."""

    def __init__(self, connection: httpcore.HTTPConnection, answer: httpcore.Response) -> None:
        self._connection, self._answer = connection, answer

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._answer.iter_stream()

    def close(self) -> None:
        try:
            self._answer.close()
        finally:
            self._connection.close()


@contextlib.contextmanager
def _as_httpx() -> Iterator[None]:
    """httpx names its errors as httpcore does."""
    try:
        yield
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error


def _origin_of(url: httpx.URL) -> httpcore.Origin:
    if url.raw_scheme not in PORTS:
        raise httpx.UnsupportedProtocol(f"Neither http nor https: {url.scheme!r}.")
    return httpcore.Origin(url.raw_scheme, url.raw_host, url.port or PORTS[url.raw_scheme])
