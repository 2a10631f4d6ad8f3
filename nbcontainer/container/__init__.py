"""Containers: spec, set-up, life, logs, state."""
