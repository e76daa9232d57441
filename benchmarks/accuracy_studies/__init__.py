"""Studies of accuracy: trainings compared over people, losses, schedules and compression."""
