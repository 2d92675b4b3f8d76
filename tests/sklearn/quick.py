"""Parameters of estimators that fit in a second."""

QUICK = {
    "hidden_units": (4,),
    "num_components": 1,
    "epochs": 1,
    "batch_size": 512,
    "network_arguments": {"jit_compile": False},
    "random_state": 0,
}
