"""The runs that a comparison asks for: performing and recording them."""
