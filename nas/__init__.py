"""Floor 4: the application: data, configuration, pipeline stages, finishing, export and reports."""
