"""The model of the compiler: from operations and choices to epochs, placements and costs."""
