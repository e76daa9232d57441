"""Speed and robustness of search, evaluation and training."""
