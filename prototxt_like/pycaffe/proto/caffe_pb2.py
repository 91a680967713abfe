"""Messages of Caffe's schema, as ``caffe.proto.caffe_pb2``."""

from prototxt_like.schema import caffe_schema_pb2
from prototxt_like.schema.caffe_schema_pb2 import *  # noqa: F403 - all messages and enum values

TRAIN, TEST = caffe_schema_pb2.TRAIN, caffe_schema_pb2.TEST
