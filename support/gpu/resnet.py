"""ResNet-50 as the double's kernel; see `support.gpu.graphs` for how torch's kernels get there."""

import logging
import os
from collections.abc import Sequence
from typing import Any

from support.gpu.graphs import Forward, TorchModel
from support.gpu.hardware import load
from support.gpu.kernels import Kernel

log = logging.getLogger("support.gpu")

IMAGE, CLASSES = (3, 224, 224), 1000
SEED = 50
ALGORITHMS = 4
"""Of each convolution, tried by cuDNN; more take minutes for all batch sizes. The environment
variable GPU_CUDNN_BENCHMARK=0 takes its first guess instead."""
TYPES = ("float32", "uint8")


class ResNet50(TorchModel):
    """The model, and the kernels made of it. Random weights of a fixed seed, half precision.

    Attributes:
        fused: bias, addition and ReLU are part of the convolutions (cuDNN's fused calls), as an
            inference compiler would have it; False where this torch refused that.
    """

    def __init__(self, fuse: bool = True) -> None:
        """Create the model now; graphs follow at the first enqueue of each set of addresses.

        Args:
            fuse: use cuDNN's fused convolutions, which are twice as fast, where they agree.
        """
        self._fuse = fuse
        self.fused = False
        super().__init__()

    def kernel(self, dtype: str = "float32", source: str = "x", target: str = "y") -> Kernel:
        """float32 or uint8 [n, 3, 224, 224] -> float32 [n, 1000].

        uint8 is for images as they come from a decoder: they are normalised on the GPU.
        """
        if dtype not in TYPES:
            raise ValueError(f"no ResNet-50 for {dtype}")
        return self.torch_kernel({source: dtype}, {target: "float32"})

    def make(self, gpu: int) -> Forward:
        """See `TorchModel.make`."""
        torch = load("torch")
        torch.backends.cudnn.benchmark = os.environ.get("GPU_CUDNN_BENCHMARK", "1") != "0"
        torch.backends.cudnn.benchmark_limit = ALGORITHMS
        torch.manual_seed(SEED)
        model = load("torchvision").models.resnet50(weights=None).eval().requires_grad_(False)
        for block in _blocks(model):
            # random weights let the residual sums grow; half precision must not overflow
            block.bn3.weight.mul_(0.25)
        fold_norms(model)
        model = model.to(f"cuda:{gpu}").half().to(memory_format=torch.channels_last)
        mean = torch.tensor([0.485, 0.456, 0.406], device=f"cuda:{gpu}").view(1, 3, 1, 1)
        deviation = torch.tensor([0.229, 0.224, 0.225], device=f"cuda:{gpu}").view(1, 3, 1, 1)
        scale, shift = (1 / (255 * deviation)).half(), (-mean / deviation).half()
        fused = self._fuse and _agrees(model, gpu)
        self.fused = fused

        def forward(inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
            (x,), (y,) = inputs, outputs
            half = x.to(dtype=torch.half, memory_format=torch.channels_last)
            if x.dtype == torch.uint8:
                half = torch.addcmul(shift, half, scale)
            y.copy_(run_fused(model, half) if fused else model(half))

        return forward


def _agrees(model: Any, gpu: int) -> bool:
    """Whether this torch has fused convolutions that agree with the plain ones."""
    torch = load("torch")
    with torch.inference_mode():
        sample = torch.rand(2, *IMAGE, device=f"cuda:{gpu}").half()
        sample = sample.contiguous(memory_format=torch.channels_last)
        plain = model(sample).float()
        try:
            found = run_fused(model, sample).float()
        except Exception as error:  # whatever this torch or cuDNN raises
            log.warning("no fused convolutions: %s", error)
            return False
        worst = float((found - plain).abs().max() / plain.abs().max())
    if worst >= 0.05:
        log.warning("no fused convolutions: they differ by %.3f", worst)
    return worst < 0.05


def _blocks(model: Any) -> list[Any]:
    return [block for layer in _layers(model) for block in layer]


def _layers(model: Any) -> tuple[Any, ...]:
    return (model.layer1, model.layer2, model.layer3, model.layer4)


def fold_norms(model: Any) -> None:
    """Fold every batch norm into its convolution, as TensorRT does."""
    torch = load("torch")
    fuse = load("torch.nn.utils.fusion").fuse_conv_bn_eval
    identity = torch.nn.Identity
    model.conv1, model.bn1 = fuse(model.conv1, model.bn1), identity()
    for block in _blocks(model):
        for number in (1, 2, 3):
            conv, norm = getattr(block, f"conv{number}"), getattr(block, f"bn{number}")
            setattr(block, f"conv{number}", fuse(conv, norm))
            setattr(block, f"bn{number}", identity())
        if block.downsample is not None:
            block.downsample = torch.nn.Sequential(fuse(*block.downsample))


def run_fused(model: Any, x: Any) -> Any:
    """The forward pass with cuDNN's fused convolutions; norms must be folded."""
    x = model.maxpool(_conv_relu(model.conv1, x))
    for block in _blocks(model):
        residual = x if block.downsample is None else block.downsample(x)
        x = _conv_relu(block.conv2, _conv_relu(block.conv1, x))
        x = _conv_add_relu(block.conv3, x, residual)
    return model.fc(model.avgpool(x).flatten(1))


def _conv_relu(conv: Any, x: Any) -> Any:
    return load("torch").cudnn_convolution_relu(
        x, conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups
    )


def _conv_add_relu(conv: Any, x: Any, z: Any) -> Any:
    return load("torch").cudnn_convolution_add_relu(
        x, conv.weight, z, 1.0, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups
    )
