"""The versions of the Pulumi CLI's parts: the only place that states them beside the go.mod files.

`engine/go.mod` and `language-host/go.mod` with their go.sum pin the two binaries and all that is compiled into them;
`ENGINE` repeats the first one's version for the vendor's installer and the linker, and a test compares the two.
"""

OLDEST = (3, 216, 0)
"""The oldest CLI on PATH that will do."""

ENGINE = "3.259.0"
"""The CLI that is installed where PATH has none."""

ENGINE_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"

LANGUAGE_HOST_PACKAGE = "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"

SCRIPTS_MODULE = "github.com/pulumi/pulumi/sdk/v3@v3.272.0"
"""The Go module whose folder holds the two scripts that the language host starts."""

SCRIPTS_SUM = "h1:MoJElH3Y/VwV1tfTVNCh2BJuc3HxB7OPmvvYzaDe89c="
"""Its checksum as go.sum would hold it: these files are copied, not compiled, so no go.sum names them."""

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
"""The files that a finished installation has beside each other."""
