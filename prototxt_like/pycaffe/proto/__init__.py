"""Messages of Caffe's schema, as ``caffe.proto``."""
