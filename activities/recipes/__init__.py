"""The inventory's side of each operation: what its begin, commit and abort do, each inside one transaction."""
