"""What `make` runs: the setup of a checkout, the installer of the Pulumi CLI, and the targets `up`, `down` and
`status`.
"""
