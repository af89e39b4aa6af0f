"""The operations: deterministic recipes, one file each."""
