"""What commands have in common: arguments in, tables, JSON and progress out."""
