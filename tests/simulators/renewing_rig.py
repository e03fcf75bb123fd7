"""A broker whose revocation list grows, the platform at its other end, and orders to renew."""

from typing import Any

from api.issuing import Issuer
from kraj import certificates, renewing
from kraj.certificates import Certificate, Key
from kraj.store.identity import Revoked
from stack import authority
from stack.broker import Broker, Tls
from tests.firmware.link_rig import Platform
from tests.stack.mutual import NAMES, Place, now


class Town:
    """Broker and platform; who is refused is told the broker as it runs."""

    def __init__(self, place: Place, broker: Broker, platform: Platform) -> None:
        self.place, self.broker, self.platform = place, broker, platform
        self.revoked: list[Revoked] = []
        self.lists = ""

    def refuse(self, one: Certificate, generation: int = 1) -> None:
        self.revoked.append(Revoked(one.serial_number, generation, "", now(), "renewed"))
        self.present()

    def present(self) -> None:
        folder = self.place.folder
        own = authority.server(folder, NAMES, now())
        self.lists = authority.revocation_lists(folder, self.revoked, self.lists, now())
        tls = Tls(own.key.read_text(), own.certificate.read_text(), authority.trusted(folder), self.lists)
        self.broker.present(tls, None)

    def renew(self, name: str, key: Key, by: Issuer) -> Certificate:
        """Order a device to take a new certificate for this key; the order's id is its serial number."""
        issued = certificates.issue_device(by.authority, key.public_key(), name, now())
        order = renewing.order(by.authority, name, issued, by.roots, certificates.serial_text(issued))
        self.platform.order(name, "command", order)
        return issued

    def results(self, name: str) -> list[Any]:
        return self.platform.said("result", name)

    def connected_by(self, name: str) -> str:
        """The certificate that a device said last that it is connected by."""
        said = [one for one in self.platform.said("status", name) if one["online"]]
        return said[-1]["certificate"] if said else ""
