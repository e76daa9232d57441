"""Tables of README and documentation, rewritten from result files."""
