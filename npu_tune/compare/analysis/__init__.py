"""What recorded runs say about the samplers: scores, regrets and statistics."""
