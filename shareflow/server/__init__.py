"""The embedded Temporal server: finding or building its binary, and running it."""
