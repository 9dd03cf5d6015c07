# Talks as `contestant.rs` says: a line in for each run, milliseconds out, and a last line of JSON.
import json
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
# Not ru_maxrss: a child inherits what its parent held.
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(json.dumps({"peak_mb": peak * 1024 / 1e6}), flush=True)
