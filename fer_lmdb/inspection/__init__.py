"""Description and verification of data sets, databases, runs, models and Caffe files."""
