"""PReNet and its relatives: the authors' weights give the authors' figures, and nothing else is taken for them."""

import os
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mspfn.networks import PReNet, PReNetConfig, build_network
from mspfn.networks.prenet_weights import prenet_from_authors
from rainsynth.checks import InputError
from rainsynth.metrics import psnr_y, ssim_y
from rainsynth.pictures import read_photo

# Ren et al. (2019), table of parameters: the authors' networks.py adds up to the same.
PUBLISHED_COUNTS = {
    ("prenet", False): 168_963,
    ("prn", False): 95_107,
    ("prenet-r", True): 94_979,
    ("prn", True): 21_123,
}


def authors_state(channels=4, *, blocks=5, recurrent=True, seed=0):
    """Random weights under the authors' names."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"conv0.0": (channels, 6), "conv.0": (3, channels)}
    for index in range(1, blocks + 1):
        shapes |= {f"res_conv{index}.{layer}": (channels, channels) for layer in (0, 2)}
    if recurrent:
        shapes |= {f"conv_{gate}.0": (channels, 2 * channels) for gate in "ifgo"}
    state = {}
    for name, (outputs, inputs) in shapes.items():
        scale = (2 / (9 * inputs)) ** 0.5
        state[f"{name}.weight"] = scale * torch.randn(outputs, inputs, 3, 3, generator=generator)
        state[f"{name}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
    return state


def step_by_step(rainy, state, *, stages=6, repeats=1):
    """The figures of the paper written out on the authors' tensors, one convolution after the other."""

    def conv(name, x):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    blocks = [name for name in (f"res_conv{index}" for index in range(1, 6)) if f"{name}.0.weight" in state]
    x, pictures = rainy, []
    hidden = cell = rainy.new_zeros(rainy.shape[0], state["conv0.0.weight"].shape[0], *rainy.shape[-2:])
    for _ in range(stages):
        x = conv("conv0.0", torch.cat((rainy, x), 1)).relu()
        if "conv_i.0.weight" in state:
            both = torch.cat((x, hidden), 1)
            cell = torch.sigmoid(conv("conv_f.0", both)) * cell
            cell = cell + torch.sigmoid(conv("conv_i.0", both)) * torch.tanh(conv("conv_g.0", both))
            hidden = x = torch.sigmoid(conv("conv_o.0", both)) * torch.tanh(cell)
        for name in blocks * repeats:
            x = (conv(f"{name}.2", conv(f"{name}.0", x).relu()).relu() + x).relu()
        x = conv("conv.0", x) + rainy
        pictures.append(x)
    return pictures


@pytest.mark.parametrize(("name", "shared_block"), PUBLISHED_COUNTS)
def test_network_has_the_published_number_of_weights(name, shared_block):
    with torch.device("meta"):
        network = build_network(name, shared_block=shared_block)
    assert sum(weight.numel() for weight in network.parameters()) == PUBLISHED_COUNTS[name, shared_block]


@pytest.mark.parametrize("recurrent", [True, False])
@pytest.mark.parametrize("blocks", [5, 1], ids=["own blocks", "shared block"])
def test_authors_weights_make_the_pictures_of_every_stage(recurrent, blocks):
    state = authors_state(blocks=blocks, recurrent=recurrent)
    network = prenet_from_authors(state)
    assert network.config == PReNetConfig(channels=4, recurrent=recurrent, shared_block=blocks == 1)
    rainy = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        predictions = network.double().predictions(rainy)
    expected = step_by_step(rainy, {name: value.double() for name, value in state.items()}, repeats=5 // blocks)
    for ours, theirs in zip([*predictions.stages, predictions.derained], expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)  # float64 in another order of summation
    assert not torch.allclose(predictions.derained, predictions.stages[0], atol=1e-2)


def test_weights_saved_from_several_gpus_and_another_number_of_stages_are_read():
    state = {f"module.{name}": value for name, value in authors_state().items()}
    network = prenet_from_authors(state, stages=3)
    assert network.config.stages == 3
    assert not network.training
    rainy = torch.rand(1, 3, 5, 5)
    with torch.no_grad():
        torch.testing.assert_close(network(rainy), step_by_step(rainy, authors_state(), stages=3)[-1])


def test_a_state_dict_of_something_else_is_refused():
    without_rainy = authors_state() | {"conv0.0.weight": torch.zeros(4, 3, 3, 3)}  # their study PReNet_x
    gated = {name.replace("conv_o", "conv_z"): value for name, value in authors_state().items()}
    foreign = PReNet(PReNetConfig(channels=4)).state_dict()
    for state, reason in (
        (without_rainy, "tensors of PReNet's shapes"),
        (gated, "2 missing (conv_o.0.bias, conv_o.0.weight) and 2 unknown (conv_z.0.bias"),
        (foreign, "got no conv0.0.weight"),
    ):
        with pytest.raises(InputError) as refused:
            prenet_from_authors(state)
        assert reason in str(refused.value)
        assert "\n" not in str(refused.value)


class Payload:
    """Pickled, it runs a command when it is read."""

    def __reduce__(self):
        return os.system, ("touch was-run",)


def test_a_file_that_is_no_whole_state_dict_is_refused_and_its_code_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net_latest.pth"
    torch.save(authors_state(), path, _use_new_zipfile_serialization=False)  # as the authors' file
    assert prenet_from_authors(path).config.channels == 4
    whole, rng = path.read_bytes(), random.Random(0)
    cuts = [0, 1, 100, *(rng.randrange(len(whole)) for _ in range(20))]
    for content in [*(whole[:cut] for cut in cuts), b"\x00" * 1000, b"rain"]:
        path.write_bytes(content)
        refuse(path, "Is it cut, or of another kind?")
    for content, reason in ((Payload(), "no code"), ([1, 2], "other content"), ({"a": 3}, "other content")):
        torch.save(content, path)
        refuse(path, reason)
    for place in (tmp_path, tmp_path / "absent.pth"):
        refuse(place, "got no file there")
    assert not (tmp_path / "was-run").exists()


def refuse(path, reason):
    with pytest.raises(InputError) as refused:
        prenet_from_authors(path)
    assert str(refused.value).startswith(f"{path} must ")
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.data
@pytest.mark.slow
def test_authors_weights_give_the_published_figures_on_rain100h(data_folder):
    # The authors publish 29.46 dB / 0.899 over all 100 pairs; their code gives this over these 40 of them.
    network = prenet_from_authors(data_folder / "weights" / "prenet_rain100h.pth")
    scores = []
    for path in sorted((data_folder / "benchmarks" / "rain100h-dev" / "input").iterdir()):
        rainy = torch.from_numpy(read_photo(path)).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            derained = network(rainy)[0]
        derained_srgb8 = derained.clamp(0, 1).mul(255).to(torch.uint8).permute(1, 2, 0).numpy()  # truncated, as theirs
        target_srgb8 = read_photo(path.parents[1] / "target" / path.name)
        scores.append((psnr_y(derained_srgb8, target_srgb8), ssim_y(derained_srgb8, target_srgb8)))
    psnr_db, ssim = np.mean(scores, axis=0)
    assert len(scores) == 40
    assert psnr_db == pytest.approx(28.736, abs=0.005)
    assert ssim == pytest.approx(0.8925, abs=0.0005)
