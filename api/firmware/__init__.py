"""Firmware of devices by API and page: releases that were signed, and campaigns that hand one out in steps."""
