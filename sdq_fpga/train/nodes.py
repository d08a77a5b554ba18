"""How the machines of a training find each other."""

import ipaddress
import os
import socket
from typing import TYPE_CHECKING

import psutil

from sdq_fpga.errors import UserError

if TYPE_CHECKING:
    from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment

__all__ = ["GLOO_INTERFACE", "check_nodes", "interface_towards"]

GLOO_INTERFACE = "GLOO_SOCKET_IFNAME"  # by which torch's gloo is told


def check_nodes(place: "ClusterEnvironment", nodes: int) -> None:
    """Makes sure that several machines know which of them they are, and where the first one is.

    Raises:
        UserError: nobody has told this one.
    """
    from lightning_fabric.plugins.environments.lightning import (  # noqa: PLC0415
        LightningEnvironment,
    )

    if nodes == 1 or not isinstance(place, LightningEnvironment):
        return  # SLURM, torchrun and others tell it themselves
    missing = [
        each for each in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK") if not os.environ.get(each)
    ]
    if missing:
        raise UserError(
            f"training on {nodes} nodes needs {', '.join(missing)} in the environment",
            "on each node set MASTER_ADDR to an address of the first one, MASTER_PORT to a free "
            "port of it, and NODE_RANK to 0, 1, ...; or start the command by SLURM or torchrun",
        )


def interface_towards(host: str, port: int) -> str | None:
    """The network interface by which this machine reaches another, or itself at that address.

    Gloo takes the interface of the address that a machine's own name stands for, which on many is
    the loopback, where no other machine finds it.

    Args:
        host: name or address.
        port: some port of it; nothing is sent.

    Returns:
        None where that is the loopback, or an interface that has no name.

    Raises:
        UserError: the name stands for no address, or there is no way to it.
    """
    try:
        ways = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = ways[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)
            own = probe.getsockname()[0].partition("%")[0]
    except OSError as error:
        raise UserError(
            f"the first node, '{host}', can't be reached ({error})",
            "set MASTER_ADDR to an address of it that this node has a route to",
        ) from error
    if ipaddress.ip_address(own).is_loopback:
        return None
    return next(
        (
            name
            for name, addresses in psutil.net_if_addrs().items()
            if any(each.address.partition("%")[0] == own for each in addresses)
        ),
        None,
    )
