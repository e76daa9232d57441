"""The search itself: proposals, evaluation, screening, racing, recording."""
