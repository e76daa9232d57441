"""People's own recordings, as loggers write them: text or arrays in, recordings at one rate with usable labels out."""
