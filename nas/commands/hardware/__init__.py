"""Commands about devices and kernels, which need no run."""
