"""Puts the fakes in their places; the host runs it before anything of the firmware."""

import sys

import fake_asyncio  # noqa: F401 - completes asyncio, before time is another one
import fake_esp32
import fake_network
import fake_socket
import fake_ssl
import fake_time

sys.modules["time"] = fake_time
sys.modules["esp32"] = fake_esp32
sys.modules["network"] = fake_network
sys.modules["socket"] = fake_socket
sys.modules["ssl"] = fake_ssl

import fake_machine  # noqa: E402 - takes time

sys.modules["machine"] = fake_machine
