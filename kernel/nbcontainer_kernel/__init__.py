"""Jupyter's side of nbcontainer: a kernel where containers are at hand, and kernels that run inside containers."""
