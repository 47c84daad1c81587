"""One call at a time, decoded; what is not safe to repeat is never repeated."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx

from gateway.fortiflex.errors import FortiFlexError, NotSent, OutcomeUnknown, TokenRejected
from gateway.fortiflex.exchanging import exchange
from gateway.fortiflex.records import Answer, Exchange
from gateway.fortiflex.session import Passage, Session
from gateway.fortiflex.verdicts import judge
from gateway.fortiflex.wire import UnreadableError, encode_object

T = TypeVar("T")
Envelope = Mapping[str, Any]


class Caller:
    """Makes calls for one API user. `api_url` is the v2 base; the v1 base is derived from it for the one call that needs it."""

    def __init__(self, transport: httpx.BaseTransport, api_url: str, session: Session) -> None:
        self._transport = transport
        self._api_url = api_url.rstrip("/")
        self._session = session

    def call(
        self, path: str, payload: Mapping[str, Any], read: Callable[[Envelope], T], *, writes: bool = False
    ) -> Answer[T]:
        """POST `payload` to `path` and decode with `read`.

        A refused token is definitely not done, so the call is repeated once with a new one; nothing else ever is.
        """
        body = encode_object(payload)
        with self._session.enter(path, writes=writes) as passage:
            token = passage.access_token()
            try:
                return self._send_once(passage, path, body, token, read)
            except TokenRejected:
                token = passage.access_token(rejected=token)
                return self._send_once(passage, path, body, token, read)

    def _send_once(
        self, passage: Passage, path: str, body: bytes, token: str, read: Callable[[Envelope], T]
    ) -> Answer[T]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json"}
        try:
            made, answer_headers = exchange(
                self._transport,
                self._url_of(path),
                path=path,
                body=body,
                headers=headers,
                seconds=passage.seconds_left(),
            )
            value = _decode(made, answer_headers, read)
        except NotSent:
            raise  # nothing was on the wire: it counts against no limit
        except FortiFlexError as error:
            passage.record_failure(error)
            raise
        passage.record_answer(made)
        return Answer(value, made)

    def _url_of(self, path: str) -> str:
        if path.startswith("v1/"):
            root, found, _ = self._api_url.lower().rpartition("/fortiflex/v2")
            if not found:
                raise NotSent("The API URL doesn't end in /fortiflex/v2, so its v1 twin is unknown.")
            return f"{self._api_url[: len(root)]}/flexvm/{path}"
        return f"{self._api_url}/{path}"


def _decode(made: Exchange, headers: httpx.Headers, read: Callable[[Envelope], T]) -> T:
    envelope = judge(made, headers)
    try:
        return read(envelope)
    except (UnreadableError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # FortiFlex said "done", but not what, or in a shape that nobody has seen: for a write that is an unknown outcome.
        raise OutcomeUnknown("unreadable_answer", f"The answer can't be read: {error}", exchange=made) from error
