"""The schema of Caffe's files: our own text and the module generated from it."""
