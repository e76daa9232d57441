"""The models beside executions, beside other emulators, and beside what others published."""
