"""Every study and benchmark: `python -m benchmarks NAME --json`."""
