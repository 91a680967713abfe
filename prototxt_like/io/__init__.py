"""Reading, writing and upgrading of Caffe files."""
