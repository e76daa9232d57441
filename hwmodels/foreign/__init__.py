"""Models that others made: TFLite files read, lowered to our operations, and priced."""
