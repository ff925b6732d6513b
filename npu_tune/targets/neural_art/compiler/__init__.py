"""From operations and choices to epochs, buffers and their costs."""
