"""Dockerfiles: lines, words, instructions, and what the instructions that only describe say of an image."""
