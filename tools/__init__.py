"""What `make` runs: the set-up of a checkout, the Pulumi CLI's installer and the `up`, `down` and `status` targets."""
