# Talks as `contestant.rs` says: a line in for each run, milliseconds out, and a last line of JSON.
import json
import resource
import sys
import time

import numpy
import onnxruntime

network, given, wanted, threads = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
options.intra_op_num_threads = int(threads)
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
first = session.get_inputs()[0]
shape = [size if isinstance(size, int) and size > 0 else 1 for size in first.shape]
feed = {first.name: numpy.fromfile(given, numpy.float32).reshape(shape)}
outputs = session.run(None, feed)
numpy.concatenate([output.ravel().astype(numpy.float32) for output in outputs]).tofile(wanted)
print("ready", flush=True)
for _ in sys.stdin:
    begun = time.perf_counter()
    session.run(None, feed)
    print((time.perf_counter() - begun) * 1e3, flush=True)
print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}), flush=True)
