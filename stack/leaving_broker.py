"""What a broker still keeps of a municipality that left: its retained messages are cleared, and looked for again."""

import asyncio
import ssl
import tempfile
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from aiomqtt import Client, MqttError, ProtocolVersion

from api.issuing import Issuer, issuer
from kraj import certificates
from kraj.errors import ConfigurationError, UnavailableError
from kraj.settings import Settings
from kraj.topics import Channel, Topic
from stack.broker import LOOPBACK
from stack.services import TLS_PORT, listens

RETAINED = (Channel.STATUS, Channel.REPORTED)
"""What devices keep at the broker (docs/wire.md)."""
OURS = Channel.DESIRED
"""What the platform keeps there: on a broker of one's own ingest alone may write it, and a restart forgets it."""
TIMEOUT_S = 10.0
GUEST_LIFE = timedelta(minutes=5)


def clear(settings: Settings, municipality: str, devices: Sequence[str], now: datetime) -> int:
    """Clear the retained messages of these devices; how many topics. Safe to do again.

    A broker of one's own knows a device by its certificate alone: it is told in the device's name. Raises
    ``UnavailableError`` where the broker is away, as what it keeps would come back to life there.
    """
    if not devices:
        return 0
    try:
        if "mqtt_host" in settings.model_fields_set:
            topics = [str(Topic(municipality, name, channel)) for name in devices for channel in (*RETAINED, OURS)]
            asyncio.run(_elsewhere(settings, topics))
        else:
            asyncio.run(_here(settings, municipality, devices, now))
    except (MqttError, OSError) as error:
        raise UnavailableError(
            f"the broker did not let its retained messages be cleared ({error}); start it, then run the same again"
        ) from error
    return len(devices) * len(RETAINED)


async def _elsewhere(settings: Settings, topics: Sequence[str]) -> None:
    password = None
    if settings.mqtt_password_file is not None:
        try:
            password = settings.mqtt_password_file.read_text().strip()
        except OSError as error:
            raise ConfigurationError(f"KRAJ_MQTT_PASSWORD_FILE: {error.strerror}; let this account read it") from error
    context = None
    if settings.mqtt_ca_file is not None:
        context = ssl.create_default_context(cafile=settings.mqtt_ca_file)
        if settings.mqtt_certificate_file is not None:
            context.load_cert_chain(settings.mqtt_certificate_file, settings.mqtt_key_file)
    async with Client(
        settings.mqtt_host,
        settings.mqtt_port,
        identifier=f"kraj_leave_{uuid.uuid4().hex[:8]}",
        username=settings.mqtt_username,
        password=password,
        protocol=ProtocolVersion.V5,
        timeout=TIMEOUT_S,
        tls_context=context,
        transport="unix" if settings.mqtt_host.startswith("/") else "tcp",
    ) as client:
        for topic in topics:
            await client.publish(topic, b"", qos=1, retain=True)


async def _here(settings: Settings, municipality: str, devices: Sequence[str], now: datetime) -> None:
    port = settings.mqtt_port if "mqtt_port" in settings.model_fields_set else TLS_PORT
    if not listens(LOOPBACK, port):
        return  # the broker of one's own keeps nothing beyond its process
    by = issuer(settings.authority_folder)
    for name in devices:
        async with Client(
            LOOPBACK,
            port,
            identifier=name,
            protocol=ProtocolVersion.V5,
            timeout=TIMEOUT_S,
            tls_context=_guest(by, name, now),
        ) as client:
            for channel in RETAINED:
                await client.publish(str(Topic(municipality, name, channel)), b"", qos=1, retain=True)


def _guest(by: Issuer, name: str, now: datetime) -> ssl.SSLContext:
    """TLS in a device's name, by a certificate that is good for minutes."""
    key = certificates.new_key()
    guest = certificates.issue_client(by.authority, key.public_key(), name, now, GUEST_LIFE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificates.pem(*by.roots))
    context.check_hostname = False  # it is the broker that we started, by whichever names
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # mode 0600
        file.write(certificates.key_pem(key) + certificates.pem(guest, by.authority.certificate))
        file.flush()
        context.load_cert_chain(file.name)
    return context
