"""One module a command of `ppg-nas`."""
