"""Export of models as Caffe files, ONNX, int8 ONNX or half-precision safetensors."""
