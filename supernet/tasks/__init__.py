"""What a network is trained to say."""
