"""How the machines of a training find each other."""

import socket

import psutil
import pytest
from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment

from sdq_fpga.errors import UserError
from sdq_fpga.train.nodes import check_nodes, interface_towards

TOLD = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
PORT = 29500


def test_this_machine_is_reached_by_the_interface_of_the_address_that_is_asked_for():
    found = {}
    for name, addresses in psutil.net_if_addrs().items():
        for each in addresses:
            if each.family == socket.AF_INET and psutil.net_if_stats()[name].isup:
                found[each.address] = name
    assert found.pop("127.0.0.1")
    assert {address: interface_towards(address, PORT) for address in found} == found


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.1.1"])
def test_the_loopback_is_no_way_to_others(host):
    assert interface_towards(host, PORT) is None


@pytest.mark.parametrize("host", ["no-such-host.invalid", "255.255.255.255"])
def test_a_first_node_that_can_not_be_reached(host):
    with pytest.raises(UserError, match=rf"'{host}', can't be reached .*MASTER_ADDR"):
        interface_towards(host, PORT)


@pytest.mark.parametrize("missing", TOLD)
def test_what_a_node_was_not_told_is_named(missing, monkeypatch):
    for name in TOLD:
        monkeypatch.setenv(name, "1")
    check_nodes(LightningEnvironment(), 2)
    monkeypatch.delenv(missing)
    with pytest.raises(UserError, match=f"2 nodes needs {missing} in the environment"):
        check_nodes(LightningEnvironment(), 2)
    check_nodes(LightningEnvironment(), 1)
    check_nodes(TorchElasticEnvironment(), 2)
