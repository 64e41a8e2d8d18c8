"""Pins down encoders: any timm model as the contracting path, weights from a file, and no download unasked."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
import torch
from torch import Tensor

from masksmith.errors import EnvironmentFault, InputError
from masksmith.models.unet import UNet

timm = pytest.importorskip("timm")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:timm")


def host_answers() -> bool:
    try:
        socket.create_connection(("huggingface.co", 443), timeout=2).close()
    except OSError:
        return False
    return True


def answer(network: UNet, height: int, width: int) -> Tensor:
    with torch.no_grad():
        out = network(torch.randn(1, network.in_channels, height, width, generator=torch.Generator().manual_seed(0)))
    assert isinstance(out, Tensor)
    return out


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_resnet_takes_any_channels_and_size(channels: int) -> None:
    network = UNet(channels, 2, encoder="resnet18", width=4)
    for height, width in ((1, 1), (33, 70), (64, 32)):
        for mode in (True, False):
            assert answer(network.train(mode), height, width).shape == (1, 2, height, width)
    assert network.stride == 32


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "efficientnet_b0", "convnext_atto"])
def test_other_families_answer_at_full_size(name: str) -> None:
    assert answer(UNet(3, 2, encoder=name, width=2).eval(), 50, 45).shape == (1, 2, 50, 45)


def built_or_refused(name: str) -> UNet | str:
    try:
        return UNet(3, 2, encoder=name, width=2)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "vit_tiny_patch16_224"])
def test_transformers_work_or_are_refused_in_a_sentence(name: str) -> None:
    network = built_or_refused(name)
    if isinstance(network, str):
        assert network.startswith(f'UNet(encoder="{name}"): expected ')
        assert "\n" not in network
        return
    for height, width in ((64, 96), (50, 130)):
        out = answer(network.eval(), height, width)
        assert out.shape == (1, 2, height, width)
        assert out.isfinite().all()


def test_gradients_reach_the_encoder() -> None:
    network = UNet(3, 2, encoder="resnet18", width=4)
    out = network(torch.randn(2, 3, 64, 64))
    assert isinstance(out, Tensor)
    out.square().sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None]
    assert silent == []


def test_dropout_acts_on_the_encoders_end() -> None:
    network = UNet(3, 2, encoder="resnet18", width=4, dropout=0.5)
    assert torch.equal(answer(network.eval(), 64, 64), answer(network, 64, 64))
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.train()  # alone, so that batch norm stays steady
    assert not torch.equal(answer(network, 64, 64), answer(network, 64, 64))


def test_unknown_encoder_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match=r'did you mean "resnet\d+') as caught:
        UNet(3, 2, encoder="resnet_18")
    assert "resnet_18" in str(caught.value)


def test_channels_must_match_the_encoders_levels() -> None:
    with pytest.raises(InputError, match=r"6 widths for encoder"):
        UNet(3, 2, encoder="resnet18", channels=(4, 8))
    assert answer(UNet(3, 2, encoder="resnet18", channels=(2, 2, 4, 4, 8, 8)).eval(), 40, 40).shape == (1, 2, 40, 40)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    """A file of resnet18's weights for colour pictures, as timm publishes them, and what is in it."""
    from safetensors.torch import save_file

    torch.manual_seed(3)
    state = timm.create_model("resnet18", pretrained=False).state_dict()
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file(state, path)
    return path, state


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_weights_from_a_file(weights: tuple[Path, dict[str, Tensor]], channels: int) -> None:
    path, state = weights
    network = UNet(channels, 2, encoder="resnet18", pretrained=str(path), width=4)
    loaded = network.encoder.state_dict()
    deep = next(v for k, v in loaded.items() if k.endswith("layer4.1.conv2.weight"))
    torch.testing.assert_close(deep, state["layer4.1.conv2.weight"])
    first = next(v for k, v in loaded.items() if k.endswith("conv1.weight") and "layer" not in k)
    assert first.shape[1] == channels
    if channels == 3:
        torch.testing.assert_close(first, state["conv1.weight"])
    assert answer(network.eval(), 40, 50).shape == (1, 2, 40, 50)


def test_weights_are_read_from_a_path_object_too(weights: tuple[Path, dict[str, Tensor]]) -> None:
    loaded = UNet(3, 2, encoder="resnet18", pretrained=weights[0], width=4).encoder.state_dict()
    first = next(v for k, v in loaded.items() if k.endswith("conv1.weight") and "layer" not in k)
    torch.testing.assert_close(first, weights[1]["conv1.weight"])


def test_weights_of_another_network_are_refused(weights: tuple[Path, dict[str, Tensor]]) -> None:
    with pytest.raises(InputError, match="weights that fit it") as caught:
        UNet(3, 2, encoder="mobilenetv3_small_050", pretrained=str(weights[0]))
    assert "\n" not in str(caught.value)


def test_missing_and_other_files_of_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        UNet(3, 2, encoder="resnet18", pretrained=str(tmp_path / "none.safetensors"))
    (tmp_path / "w.pth").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(InputError, match="another kind of file"):
        UNet(3, 2, encoder="resnet18", pretrained=str(tmp_path / "w.pth"))
    (tmp_path / "w.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(InputError, match=re.escape("weights that fit it")):
        UNet(3, 2, encoder="resnet18", pretrained=str(tmp_path / "w.safetensors"))


@pytest.mark.skipif(host_answers(), reason="the host of the weights can be reached, so nothing is missing")
def test_download_without_a_network_is_one_sentence() -> None:
    with pytest.raises(EnvironmentFault, match="no network connection") as caught:
        UNet(3, 2, encoder="resnet18", pretrained=True)
    assert "\n" not in str(caught.value)
    assert "weights.safetensors" in str(caught.value)


def test_model_without_published_weights_says_so() -> None:
    without = next(n for n in timm.list_models("resnet*") if not timm.get_pretrained_cfg(n).has_weights)
    with pytest.raises(EnvironmentFault, match="without published weights"):
        UNet(3, 2, encoder=without, pretrained=True)
