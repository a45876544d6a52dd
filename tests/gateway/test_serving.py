import socket

import pytest

from gateway import serving
from gateway.settings import Settings, SettingsError


def test_a_port_in_use_names_the_setting():
    """The message says which setting to change, for both planes."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=r"SLUICE_PORT: 127\.0\.0\.1:\d+ is in use"):
            serving.bind("127.0.0.1", port, "PORT")
        with pytest.raises(SettingsError, match="SLUICE_ADMIN_PORT"):
            serving.bind_planes(Settings(port=0, admin_port=port))


def test_two_gateways_never_share_a_port():
    """A second start on the same port fails, even before the first one answers."""
    first = serving.bind("127.0.0.1", 0, "PORT")
    with first, pytest.raises(SettingsError, match="in use"):
        serving.bind("127.0.0.1", first.getsockname()[1], "PORT")


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7"])
def test_an_address_of_another_machine_is_refused(host):
    """A host that is not ours is named."""
    with pytest.raises(SettingsError, match=r"SLUICE_(HOST|PORT)"):
        serving.bind(host, 0, "PORT")


def test_the_printed_url_can_be_opened():
    """Wildcard addresses are shown as loopback, IPv6 in brackets, port 0 as the port that was given."""
    with serving.bind("0.0.0.0", 0, "PORT") as listener:
        assert serving.url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
    if socket.has_ipv6:
        with serving.bind("::1", 0, "PORT") as listener:
            assert serving.url_of(listener).startswith("http://[::1]:")
