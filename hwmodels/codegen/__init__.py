"""From a network to the C sources that compute it."""
