"""Serve a GGUF model by llama.cpp's own server: `python serve_gguf.py MODEL.gguf PORT`, until the process is ended."""

import sys
import threading

import xllamacpp  # of the environment that `make servers` makes

parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.n_ctx, parameters.n_parallel = sys.argv[1], 1024, 1
parameters.port, parameters.warmup = int(sys.argv[2]), False
server = xllamacpp.Server(parameters)
threading.Event().wait()
