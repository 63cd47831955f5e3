"""Rain off an (H, W, 3) uint8 RGB array in a file: python derain_onnx.py NETWORK.onnx RAINY.npy DERAINED.npy"""

import sys

import numpy as np
import onnxruntime

network_file, rainy_file, derained_file = sys.argv[1:]
session = onnxruntime.InferenceSession(network_file)
rainy = np.load(rainy_file).transpose(2, 0, 1)[None].astype(np.float32) / 255
(derained,) = session.run(["derained"], {"rainy": rainy})
np.save(derained_file, (derained[0].transpose(1, 2, 0).clip(0, 1) * 255).round().astype(np.uint8))
