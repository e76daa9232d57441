"""Which C kernel serves an operation, and weights as that kernel reads them."""
