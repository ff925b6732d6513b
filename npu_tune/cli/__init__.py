"""The command line ``npu-tune``; modules here import what is heavy inside functions."""
