"""The one place that names the versions of the Temporal server that Shareflow starts.

``tools/temporal/go.mod`` pins the same versions for the build from source; a test compares the two.
"""

from __future__ import annotations

SERVER_VERSION = "1.32.0"
"""Server inside both the build from source and the released binary."""

MINIMUM_SERVER = (1, 32)
"""Oldest server that is good enough: the first with standalone activities and per-workflow time skipping."""

BUILT_CLI_VERSION = "1.8.2"
"""CLI that ``tools/temporal`` builds around the server; the newest that builds as a dependency of another module."""

RELEASED_CLI_VERSION = "1.9.1"
"""Released CLI with the same server; what the SDK downloads."""

GO_VERSION = "1.26.8"
"""Oldest Go toolchain that builds ``tools/temporal``."""

COMMAND_PACKAGE = "github.com/temporalio/cli/cmd/temporal"
VERSION_SYMBOL = "github.com/temporalio/cli/internal/temporalcli.Version"
