"""Plugins of pytest that the whole test suite uses."""
