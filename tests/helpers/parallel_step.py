"""The gradients of one training step in float64, of all processes: torchrun parallel_step.py IMAGES FOLDER"""

import sys
from pathlib import Path

import torch

from microsnoop_engine.trainer import parallel
from microsnoop_engine.trainer.config import TrainConfig
from microsnoop_engine.trainer.pool import read_pool
from microsnoop_engine.trainer.trainer import Trainer

images, folder = map(Path, sys.argv[1:])
settings = {"categories": (), "crop": 32, "batch": 4, "epochs": 2, "warmup_epochs": 1}
with parallel.process_group("cpu"):
    for name, changes in (("reconstruction", {}), ("contrast", {"reconstruction_weight": 0.0, "contrast_weight": 1.0})):
        trainer = Trainer(TrainConfig(**settings, **changes), read_pool(images), folder / name)
        model = trainer.model.double().train()
        views = [view.double() for view in trainer.views(trainer.batches, 0)]
        trainer.losses(views, 0, trainer.batches)[name].backward()
        parallel.average(p.grad for p in model.parameters())
        if not parallel.rank():
            state = {"gradients": [p.grad for p in model.parameters()], "buffers": list(model.buffers())}
            torch.save(state, folder / f"{name}-{parallel.world_size()}.pt")
