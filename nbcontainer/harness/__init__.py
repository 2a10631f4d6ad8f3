"""Notebooks and labs as tests."""
