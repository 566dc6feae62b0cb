"""What is known of a Pulumi stack: its project file, backend, owner and exported state."""
