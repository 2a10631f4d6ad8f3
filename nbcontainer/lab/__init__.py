"""The lab: the namespaces that play the part of the host, its init (inside) and its handle (in our process)."""
