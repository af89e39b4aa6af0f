"""Ports of the embedded server."""

from __future__ import annotations

import errno
import socket

from shareflow.errors import ServerUnavailable


def free_port(ip: str, *, other_than: int = 0) -> int:
    """A TCP port that nobody listens on now. Another process may take it before it is used."""
    while True:
        with _socket(ip) as probe:
            probe.bind((ip, 0))
            port = int(probe.getsockname()[1])
        if port != other_than:
            return port


def require_free(ip: str, port: int, what: str, option: str) -> None:
    """Make sure that a server can listen there.

    Raises:
        ServerUnavailable: somebody else listens there, or the port or the address cannot be used.
    """
    if not 1 <= port <= 65535:
        raise ServerUnavailable(f"{port} is not a port for the {what}", hint=f"choose {option} from 1 to 65535, or 0")
    try:
        with _socket(ip) as probe:
            probe.bind((ip, port))
            probe.listen(1)
    except OSError as error:
        hint = f"choose another with {option}, or 0 for any free one"
        if error.errno == errno.EADDRINUSE:
            hint = f"end the program that listens there (`ss -ltnp 'sport = :{port}'` names it), or {hint}"
            raise ServerUnavailable(f"port {port} of the {what} is in use on {ip}", hint=hint) from None
        raise ServerUnavailable(f"the {what} cannot listen on {ip}:{port}: {error.strerror}", hint=hint) from None


def _socket(ip: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_STREAM)
    # As the server does it: connections that are closing do not keep the port from being used again.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return probe
