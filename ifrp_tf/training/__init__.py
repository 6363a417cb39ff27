"""The training step under either backend, the loop, and the folder of a run."""
