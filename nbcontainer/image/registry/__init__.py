"""Registries: pull, push, log in, search. OCI distribution-spec 1.1, and what Docker's clients do besides."""
