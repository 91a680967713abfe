"""pycaffe's interface: scripts for ``import caffe`` run with ``python -m prototxt_like run script.py``."""

from prototxt_like.pycaffe import io as io
from prototxt_like.pycaffe.classifier import Classifier as Classifier
from prototxt_like.pycaffe.mode import Timer as Timer
from prototxt_like.pycaffe.mode import has_nccl as has_nccl
from prototxt_like.pycaffe.mode import init_log as init_log
from prototxt_like.pycaffe.mode import layer_type_list as layer_type_list
from prototxt_like.pycaffe.mode import log as log
from prototxt_like.pycaffe.mode import set_device as set_device
from prototxt_like.pycaffe.mode import set_mode_cpu as set_mode_cpu
from prototxt_like.pycaffe.mode import set_mode_gpu as set_mode_gpu
from prototxt_like.pycaffe.mode import set_random_seed as set_random_seed
from prototxt_like.pycaffe.mode import solver_count as solver_count
from prototxt_like.pycaffe.mode import solver_rank as solver_rank
from prototxt_like.pycaffe.net import Net as Net
from prototxt_like.pycaffe.net_spec import NetSpec as NetSpec
from prototxt_like.pycaffe.net_spec import layers as layers
from prototxt_like.pycaffe.net_spec import params as params
from prototxt_like.pycaffe.net_spec import to_proto as to_proto
from prototxt_like.pycaffe.proto.caffe_pb2 import TEST as TEST
from prototxt_like.pycaffe.proto.caffe_pb2 import TRAIN as TRAIN
from prototxt_like.pycaffe.solver import AdaDeltaSolver as AdaDeltaSolver
from prototxt_like.pycaffe.solver import AdaGradSolver as AdaGradSolver
from prototxt_like.pycaffe.solver import AdamSolver as AdamSolver
from prototxt_like.pycaffe.solver import NesterovSolver as NesterovSolver
from prototxt_like.pycaffe.solver import RMSPropSolver as RMSPropSolver
from prototxt_like.pycaffe.solver import SGDSolver as SGDSolver
from prototxt_like.pycaffe.solver import get_solver as get_solver

__version__ = "1.0.0"
"""Version of Caffe whose interface this is."""
