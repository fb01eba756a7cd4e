"""The command line of Wardround."""
