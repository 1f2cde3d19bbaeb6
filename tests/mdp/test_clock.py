"""Codes of time zones."""

import pytest

from mdp.clock import NO_ZONE, zone_code, zone_codes, zone_name

NO_ZONES = [
    "Mars/Phobos",
    "",
    None,
    "../etc/passwd",
    "Factory",
    "localtime",
    "posixrules",
    "right/Europe/Berlin",
    "posix/UTC",
]


@pytest.mark.parametrize("name", NO_ZONES)
def test_an_unknown_zone_has_no_code(name):
    assert zone_code(name) == NO_ZONE
    assert zone_name(NO_ZONE) is None


def test_zones_are_named_as_they_came():
    zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
    assert [zone_name(int(code)) for code in zone_codes(zones)] == zones
