"""iproute2's words in, result out: `ip`, `bridge`, `ip netns`, on netlink and without the programs."""
