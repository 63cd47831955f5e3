"""Where the rain is: the weather, the camera, the photograph and the drops between them."""
