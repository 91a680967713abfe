"""TransformationParameter on batches of images."""
