"""TFLite files: reading them into networks."""
