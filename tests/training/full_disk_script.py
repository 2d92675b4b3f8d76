"""`python full_disk_script.py WAY LIMIT FOLDER`: saves a model where no file may grow beyond LIMIT bytes, or on a full disk.

Prints the error and what the folder holds afterwards. Exits with 0 if the error was an OSError that names the file.
"""

import os
import resource
import signal
import sys

import tfar
from tfar.training import Backup, DensityModel

way, limit, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
model = DensityModel(tfar.MADE([20], [200], jit_compile=False))
model.compile(jit_compile=False)
model.optimizer.build(model.trainable_variables)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
paths = {"save": "m.keras", "save_weights": "m.weights.h5", "backup": "epoch-1.weights.h5"}
path = os.path.join(folder, paths[way])
try:
    if way == "backup":
        model.fit([[0.0] * 20] * 4, verbose=0, callbacks=[Backup(folder)])
    else:
        getattr(model, way)(path)
except OSError as error:
    print(type(error).__name__, error)
    if path not in str(error):
        sys.exit(3)
else:
    sys.exit(2)
print("left:", sorted(os.listdir(folder)))
