"""What every floor rests on: the root of users' errors, files written whole, documents read safely."""
