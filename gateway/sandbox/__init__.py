"""A FortiFlex to practise on: FortiFlex itself has none, and nothing created there can be deleted."""

from gateway.sandbox.sandbox import Sandbox
from gateway.sandbox.server import SandboxServer, serve_sandbox
from gateway.sandbox.settings import SandboxSettings
from gateway.sandbox.transport import SandboxTransport

__all__ = ["Sandbox", "SandboxServer", "SandboxSettings", "SandboxTransport", "serve_sandbox"]
