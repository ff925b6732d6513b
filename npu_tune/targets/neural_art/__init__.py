"""A model of ST's Neural-ART accelerator: its compiler, its hardware and its memory."""
