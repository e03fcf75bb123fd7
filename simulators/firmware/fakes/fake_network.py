"""``network``: a radio whose network is there or not, as the host says."""

import _host

STA_IF, AP_IF = 0, 1
STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP, STAT_NO_AP_FOUND = 1000, 1001, 1010, 201


class WLAN:
    """The station; connected while the network is there."""

    IF_STA, IF_AP = STA_IF, AP_IF
    PM_NONE, PM_PERFORMANCE, PM_POWERSAVE = 0, 1, 2
    _wanted = False

    def __init__(self, interface=STA_IF):
        del interface

    def active(self, on=None):
        """Whether the radio is on."""
        return True if on is None else on

    def config(self, *names, **settings):
        """Anything can be set; what is asked for is 0."""
        del settings
        return b"\x02\x00\x00\x00\x00\x01" if names == ("mac",) else 0

    def connect(self, ssid=None, key=None, **more):
        """Begin to."""
        del ssid, key, more
        WLAN._wanted = True

    def disconnect(self):
        """No more."""
        WLAN._wanted = False

    def isconnected(self):
        """Whether there is a network."""
        return WLAN._wanted and bool(_host.network_up())

    def status(self, what=None):
        """A state, or the strength in dBm."""
        if what == "rssi":
            value = _host.value("rssi_dbm")
            return -67 if value is None else int(value)
        return STAT_GOT_IP if self.isconnected() else STAT_NO_AP_FOUND

    def ifconfig(self):
        """(address, mask, gateway, name server)."""
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")

    def ipconfig(self, name):
        """As above, by name."""
        del name
        return ("127.0.0.1", "255.0.0.0")


def hostname(name=None):
    """What it is called on the network."""
    return name or "device"


def country(code=None):
    """Where it is."""
    return code or "CZ"
