"""Whether this machine looks like one that the venue does not allow automation on.

TopstepX wants every program that can reach its order endpoints to run on the trader's own device:
no rented server, no VPN. What a machine is made of is read from its firmware's names; nothing is
asked over the network. A name proves little, so a person may state otherwise, and that is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

FIRMWARE = Path("/sys/class/dmi/id")
NAMES = ("sys_vendor", "product_name", "bios_vendor", "chassis_asset_tag")
POLICY = (
    "TopstepX allows programs that can reach orders on the trader's own device only; "
    "observing may run anywhere"
)

RENTED = {
    "amazon ec2": "Amazon EC2",
    "google": "Google Cloud",
    "7783-7084-3265-9085-8269-3286-77": "Microsoft Azure",
    "digitalocean": "DigitalOcean",
    "hetzner": "Hetzner",
    "linode": "Linode",
    "akamai": "Akamai",
    "vultr": "Vultr",
    "ovh": "OVH",
    "scaleway": "Scaleway",
    "upcloud": "UpCloud",
    "alibaba": "Alibaba Cloud",
    "oraclecloud": "Oracle Cloud",
    "tencent": "Tencent Cloud",
    "openstack": "a cloud on OpenStack",
    "qemu": "a rented virtual machine (QEMU)",
    "kvm": "a rented virtual machine (KVM)",
    "xen": "a rented virtual machine (Xen)",
    "firecracker": "a rented virtual machine (Firecracker)",
}
"""What firmware says of itself, in small letters, and whose it is."""

VIRTUAL = ("vmware", "virtualbox", "parallels", "hyper-v", "virtual machine")

Kind = Literal["own", "virtual", "rented", "unknown"]


class Host(NamedTuple):
    """What a machine looks like; a `virtual` one a desktop may run, an `unknown` one is silent."""

    kind: Kind
    looks_like: str


def read_firmware(folder: Path = FIRMWARE) -> dict[str, str]:
    """What the firmware calls itself; nothing where the system does not say."""
    found = {}
    for name in NAMES:
        try:
            found[name] = (folder / name).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue
    return found


def host(read: Callable[[], dict[str, str]] = read_firmware) -> Host:
    """What this machine looks like."""
    named = read()
    said = " / ".join(dict.fromkeys(value for value in named.values() if value))
    small = said.lower()
    for word, owner in RENTED.items():
        if word in small:
            return Host("rented", owner)
    for word in VIRTUAL:
        if word in small:
            return Host("virtual", said)
    return Host("own", said) if said else Host("unknown", "the system does not say")
