"""What may be set of trainings, stated once and read without torch; configurations embed these records."""
