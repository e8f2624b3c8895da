"""Which names of this server are answered, and who is on this machine.

A page in a person's browser may have a host name that turns to 127.0.0.1 (DNS rebinding); the
browser then takes this server for the page's own. What gives it away is the name in `Host`.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""Headers that a proxy adds."""

CLIENT = "textwright.client"
"""In a request's scope: whose share of the slots it counts towards; None: nobody's."""


def is_loopback(host: str) -> bool:
    """Whether `host`, an address or a name, is a loopback address, reached from here alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def unknown_host(headers: Headers, names: tuple[str, ...]) -> str | None:
    """The `Host` of a request where it is neither a loopback name nor one of `names`. Clients that
    send none are no browsers."""
    for host in headers.getlist("host"):
        name = _name(f"//{host}")
        if host and not is_loopback(name) and name not in names:
            return host
    return None


def is_local(headers: Headers) -> bool:
    """Whether a request comes from this machine: not through a proxy, and not from a web site's
    page whose host name resolves to a loopback address."""
    if any(header in headers for header in FORWARDED):
        return False
    urls = [f"//{headers.get('host', '')}", headers.get("origin")]
    return all(is_loopback(_name(url)) for url in urls if url is not None)


def address_for_others(headers: Headers, host: str | None) -> str | None:
    """The name or address, without a port, at which others on the network reach this server.

    Args:
        headers: of a request; one from elsewhere has come by such a name already.
        host: the address that the server listens on; None: not known.

    Returns:
        None where nobody else reaches it, or that is unknown.
    """
    if any(header in headers for header in FORWARDED):
        return None
    name = _name(f"//{headers.get('host', '')}")
    if name and not is_loopback(name):
        return name
    if host is None or is_loopback(host):
        return None
    if host not in ("0.0.0.0", "::"):
        return host
    family, beyond = (
        (socket.AF_INET, "192.0.2.1") if host == "0.0.0.0" else (socket.AF_INET6, "2001:db8::1")
    )
    with socket.socket(family, socket.SOCK_DGRAM) as probe:  # nothing is sent
        try:
            probe.connect((beyond, 9))
        except OSError:  # there is no network
            return None
        own = str(probe.getsockname()[0])
    return None if is_loopback(own) else own


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
