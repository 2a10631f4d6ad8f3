"""Control groups: one interface over v2, v1 and hybrid."""
