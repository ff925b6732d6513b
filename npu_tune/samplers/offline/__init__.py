"""Parts of the sampler that profiles layers, learns offline and verifies by measurements."""
