"""Several drivers of one study: who evaluates what, and how each follows the others."""
