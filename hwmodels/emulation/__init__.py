"""Emulated cores: Unicorn for counting, QEMU beside it, one kernel call or whole images."""
