"""Export published architectures as their library starts them: networks that are trained every day, as labels for the fit.

    python benchmarks/trainability/published.py OUT

torchvision's classifiers at real size with its own initialisation, as ONNX with dynamo=True, and `OUT/labels.jsonl` in the form that `fit.py` reads: all learn
with the optimiser that the library's own recipe trains them with. Needs torchvision.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import torch
import torchvision

CONVOLUTIONAL = (
    "resnet18", "resnet34", "resnet50", "vgg11", "vgg16_bn", "squeezenet1_1", "densenet121", "googlenet", "mobilenet_v2",
    "mobilenet_v3_small", "efficientnet_b0", "regnet_y_400mf", "shufflenet_v2_x1_0", "mnasnet1_0", "resnext50_32x4d",
)  # fmt: skip
"""Trained with SGD (RMSprop, the MobileNets and EfficientNet) and, throughout the field, with Adam."""
TRANSFORMING = ("vit_b_16", "swin_t", "convnext_tiny")
"""Trained with AdamW."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    with (out / "labels.jsonl").open("w") as lines:
        for name in (*CONVOLUTIONAL, *TRANSFORMING):
            torch.manual_seed(0)
            options = {"init_weights": True, "aux_logits": False} if name == "googlenet" else {}
            network = torchvision.models.get_model(name, **options).eval()
            image = torch.randn(1, 3, 224, 224)
            torch.onnx.export(
                network, (image,), str(out / f"{name}.onnx"), dynamo=True, external_data=False, verbose=False
            )
            best = {"Adam": 1.0} | ({"SGD": 1.0} if name in CONVOLUTIONAL else {})
            lines.write(json.dumps({"id": name, "family": "published", "best": best}) + "\n")
            lines.flush()


if __name__ == "__main__":
    main()
