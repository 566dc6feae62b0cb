"""What is known about a Pulumi stack: its project file, backend, owner and exported state."""
