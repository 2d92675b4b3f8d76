"""A small server for tests: TF Serving's interfaces over TensorFlow's C++ runtime, on this machine alone.

    python -m tests.serving.loopback --port=8500 --rest_api_port=8501 --model_config_file=models.config

It takes the flags of `tensorflow_model_server`, speaks the official PredictionService, ModelService and REST
interfaces, and refuses what TF Serving refuses, with its status codes: see `predict` for tensors, `json_tensors` for
JSON, `versions` for folders and `batching` for merged requests. It is no server to put to work.
"""
