"""Which processor trains, and how its memory is handed out."""
