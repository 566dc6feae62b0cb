"""The versions of the Pulumi CLI's parts. Apart from the go.mod files, this is the only place that contains them.

The go.mod of each engine's folder, and `language-host/go.mod`, pin the binaries; their go.sum files pin everything that
is compiled into them. The version of an engine here repeats that of its go.mod, for the vendor's installer and the
linker; a test compares the two.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Engine:
    """A version of the CLI, and the folder whose go.mod pins it."""

    version: tuple[int, int, int]
    folder: str

    def __str__(self) -> str:
        """Return its version, as in ``3.216.0``."""
        return ".".join(map(str, self.version))


NEWEST = Engine((3, 274, 1), "engine")
"""The CLI that is installed if PATH has none."""

OLDEST = Engine((3, 216, 0), "engine-oldest")
"""The oldest CLI on PATH that is supported; `make test-engines` tests it."""

ENGINE_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"

LANGUAGE_HOST_PACKAGE = "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"

SCRIPTS_MODULE = "github.com/pulumi/pulumi/sdk/v3@v3.272.0"
"""The Go module whose folder contains the two scripts that the language host starts."""

SCRIPTS_SUM = "h1:MoJElH3Y/VwV1tfTVNCh2BJuc3HxB7OPmvvYzaDe89c="
"""Its checksum in the form of go.sum: these files are copied, not compiled, so no go.sum contains them."""

SCRIPTS = (
    "python/cmd/pulumi-language-python-exec",
    "python/dist/pulumi-resource-pulumi-python",
)

INSTALLER_URL = "https://get.pulumi.com/install.sh"

PARTS = (
    "pulumi",
    "pulumi-language-python",
    "pulumi-language-python-exec",
    "pulumi-resource-pulumi-python",
)
"""The files of a complete installation, all in one folder."""
