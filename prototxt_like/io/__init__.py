"""Read, write and upgrade Caffe's files."""
