"""Networks of hosts, switches and routers: described, made in the lab as a whole, and measured."""
