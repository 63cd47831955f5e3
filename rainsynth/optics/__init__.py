"""What the lens makes of the drops: streaks, their coverage of every pixel, and the light they carry."""
