"""Links, bridges, addresses and the netlink that makes them."""
