"""TFLite files: a reader."""
