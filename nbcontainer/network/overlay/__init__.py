"""Networks that reach over several nodes: VXLAN tunnels, and the channel that says who is behind which."""
