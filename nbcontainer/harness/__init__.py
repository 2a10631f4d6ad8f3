"""For tests: a pytest plugin with labs as fixtures, notebooks as tests, sweeps, and the facts of a machine."""
