"""Files of models: ONNX in, ONNX and TFLite out."""
