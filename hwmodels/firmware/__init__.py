"""Everything around the network on a watch: front end, tracker, learner, and their sources."""
