"""Packets of a lab's links: taken, decoded, saved, and who talked to whom."""
