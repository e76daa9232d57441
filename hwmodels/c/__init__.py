"""Every C source of the program, in folders named for what they are, and the compilers that build them."""
