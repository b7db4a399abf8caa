"""From a run folder or an ONNX file to a bundle: calibrate, quantize, tune, check, write."""
