"""The stages of the main job, and the job that puts them in order."""
