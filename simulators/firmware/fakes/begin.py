"""Puts the fakes in their places; the host runs it before anything of the firmware."""

import gc
import sys

import fake_asyncio  # noqa: F401 - completes asyncio, before time is another one
import fake_esp32
import fake_network
import fake_socket
import fake_ssl
import fake_time
import micropython
import parts

sys.modules["time"] = fake_time
sys.modules["esp32"] = fake_esp32
sys.modules["network"] = fake_network
sys.modules["socket"] = fake_socket
sys.modules["ssl"] = fake_ssl

import fake_machine  # noqa: E402 - takes time

sys.modules["machine"] = fake_machine


def tidy():
    """To be collected when the next call begins, with what the fakes have only for speed."""
    parts.remembered.clear()
    gc.collect()


def weigh():
    """Bytes that are taken; the host hears how many names there are."""
    micropython.qstr_info()
    return gc.mem_alloc()
