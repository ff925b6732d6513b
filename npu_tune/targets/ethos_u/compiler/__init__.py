"""Everything that touches the internals of Vela 5.2.0's Python core."""
