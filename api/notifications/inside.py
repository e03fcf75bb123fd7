"""Whether an address leads to this machine or into its network."""

import ipaddress
from urllib.parse import urlsplit

LOCAL_SCHEMES = frozenset({"dbus", "qt", "glib", "kde", "gnome", "macosx", "windows", "syslog", "rsyslog"})
"""What of apprise does something on this machine instead of sending a message."""


def inside(url: str) -> bool:
    """True for this machine, its link and private networks, as far as the address itself says so."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return True
    if parts.scheme in LOCAL_SCHEMES or host == "localhost" or host.endswith((".localhost", ".local")):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_private
