"""Weights and checkpoints come back as they were, and everything else is refused in one line."""

import os
import zipfile
from dataclasses import replace

import pytest
import torch

from mspfn import checkpoint, load_weights
from mspfn.checkpoint import Checkpoint, about_weights, load_checkpoint, save_checkpoint, save_weights, write_whole
from mspfn.networks import build_network
from rainsynth.checks import InputError


def tiny_network(seed=0, channels=8, **config):
    torch.manual_seed(seed)
    return build_network("mspfn", fine_fusion_units=1, channels=channels, zero_output=False, **config)


def some_checkpoint(network, average):
    optimizer = torch.optim.AdamW(network.parameters())
    sum(parameter.sum() for parameter in network.parameters()).backward()
    optimizer.step()
    return Checkpoint(
        network=checkpoint.describe(network),
        weights=network.state_dict(),
        average=average.state_dict(),
        optimizer=optimizer.state_dict(),
        counters={"loss_sum": 0.25, "step": 1},
        step=1,
        stage="all rates",
        config={"steps": 4, "data": {"pairs": "x", "shards": None}},
        log_bytes=17,
    )


def same_weights(network, other):
    ours, theirs = network.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def refusal(path):
    with pytest.raises(InputError) as refused:
        load_weights(path)
    message = str(refused.value)
    assert message.startswith(f"{path} must ")
    assert "\n" not in message
    return message


def test_weights_come_back_exactly_with_their_network_in_evaluation_mode(tmp_path):
    network = tiny_network(attention_units=(1, 2, 1)).train()
    save_weights(tmp_path / "w.pt", network, about={"steps": 3})
    loaded = load_weights(tmp_path / "w.pt")
    assert loaded.config == network.config
    assert same_weights(loaded, network)
    assert not loaded.training
    assert about_weights(tmp_path / "w.pt")["about"] == {"steps": 3}


def test_half_precision_halves_the_file_and_keeps_weights_to_11_bits(tmp_path):
    network = tiny_network(channels=16)
    save_weights(tmp_path / "full.pt", network)
    save_weights(tmp_path / "half.pt", network, half=True)
    assert (tmp_path / "half.pt").stat().st_size < 0.6 * (tmp_path / "full.pt").stat().st_size
    loaded = load_weights(tmp_path / "half.pt")
    for weight, original in zip(loaded.parameters(), network.parameters(), strict=True):
        assert weight.dtype == torch.float32
        # float16 has 11 significant bits down to 6.1e-5, and steps of 6e-8 below
        torch.testing.assert_close(weight, original, rtol=2**-11, atol=2**-25)


def test_equal_weights_make_equal_files_under_any_name(tmp_path):
    save_weights(tmp_path / "one.pt", tiny_network())
    save_weights(tmp_path / "another-name.pt", tiny_network())
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "another-name.pt").read_bytes()


def test_checkpoint_that_was_read_is_written_again_with_the_same_bytes(tmp_path):
    # The optimizer's key "step" and the checkpoint's are one object at first and two after reading.
    network = tiny_network().to(memory_format=torch.channels_last)
    saved = some_checkpoint(network, tiny_network(seed=1))
    save_checkpoint(tmp_path / "first.pt", saved)
    loaded = load_checkpoint(tmp_path / "first.pt")
    save_checkpoint(tmp_path / "second.pt", loaded)
    assert (tmp_path / "first.pt").read_bytes() == (tmp_path / "second.pt").read_bytes()
    assert (loaded.step, loaded.stage, loaded.log_bytes, loaded.counters) == (1, "all rates", 17, saved.counters)
    assert loaded.config == saved.config


def test_checkpoint_hands_out_the_running_mean_of_its_weights(tmp_path):
    network, average = tiny_network(), tiny_network(seed=1)
    save_checkpoint(tmp_path / "step.pt", some_checkpoint(network, average))
    assert same_weights(load_weights(tmp_path / "step.pt"), average)


def test_a_write_that_is_interrupted_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.pt"
    write_whole(path, b"old")

    def power_cut(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", power_cut)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new, and longer")
    assert path.read_bytes() == b"old"


def test_a_write_replaces_what_an_interrupted_one_left(tmp_path):
    (tmp_path / ".w.pt.part").write_bytes(b"half of somethi")
    write_whole(tmp_path / "w.pt", b"new")
    assert [found.name for found in tmp_path.iterdir()] == ["w.pt"]
    assert (tmp_path / "w.pt").read_bytes() == b"new"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_cut_file_is_refused(tmp_path, share):
    save_weights(tmp_path / "w.pt", tiny_network())
    content = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "w.pt").write_bytes(content[: int(share * len(content))])
    assert "Is it cut, or of another kind?" in refusal(tmp_path / "w.pt")


def test_a_flipped_bit_is_refused(tmp_path):
    network = tiny_network()
    save_weights(tmp_path / "w.pt", network)
    content = bytearray((tmp_path / "w.pt").read_bytes())
    content[content.find(network.reconstruction.rain.weight.detach().numpy().tobytes()) + 5] ^= 1
    (tmp_path / "w.pt").write_bytes(content)
    assert "must be undamaged, got a wrong checksum" in refusal(tmp_path / "w.pt")


class Payload:
    """Pickled, it runs a command when it is read."""

    def __reduce__(self):
        return os.system, ("touch was-run",)


def test_pickled_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"format": "mspfn-weights", "weights": Payload()}, tmp_path / "w.pt")
    assert "pickled code, which is not run" in refusal(tmp_path / "w.pt")
    assert not (tmp_path / "was-run").exists()


def test_a_whole_network_that_was_pickled_is_refused(tmp_path):
    torch.save(tiny_network(), tmp_path / "w.pt")
    assert "Save the state_dict" in refusal(tmp_path / "w.pt")


def test_a_bare_state_dict_is_refused(tmp_path):
    torch.save(tiny_network().state_dict(), tmp_path / "w.pt")
    assert "must be written by rainsynth, got other content" in refusal(tmp_path / "w.pt")


def test_an_archive_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("notes.txt", "rain")
    refusal(tmp_path / "w.pt")


def test_another_networks_weights_are_refused(tmp_path, monkeypatch):
    network, other = tiny_network(), tiny_network(channels=16)
    described = checkpoint.describe(network)
    monkeypatch.setattr(checkpoint, "describe", lambda _: described)
    save_weights(tmp_path / "w.pt", other)
    assert "Are they another network's?" in refusal(tmp_path / "w.pt")


def test_a_later_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 2)
    save_weights(tmp_path / "w.pt", tiny_network())
    monkeypatch.undo()
    assert "must be of format version 1, got 2" in refusal(tmp_path / "w.pt")


def test_a_file_that_lacks_a_part_is_refused(tmp_path):
    content = {"format": "mspfn-weights", "format_version": 1, "network": {"name": "mspfn", "config": {}}}
    write_whole(tmp_path / "w.pt", checkpoint.archive_bytes(content))
    assert "got none of weights, about, code_version" in refusal(tmp_path / "w.pt")


def test_a_checkpoint_says_what_it_was_trained_on_as_weights_do(tmp_path):
    saved = some_checkpoint(tiny_network(), tiny_network())
    save_checkpoint(tmp_path / "step.pt", replace(saved, step=7, config={"data": {"target": "veiled"}}))
    said = about_weights(tmp_path / "step.pt")
    assert said["about"] == {"steps": 7, "config": {"data": {"target": "veiled"}}}
    assert said["network"]["name"] == saved.network["name"]


def test_weights_are_no_checkpoint(tmp_path):
    save_weights(tmp_path / "w.pt", tiny_network())
    with pytest.raises(InputError, match=r"must be a checkpoint of `rainsynth train`, got mspfn-weights"):
        load_checkpoint(tmp_path / "w.pt")


def test_a_bundled_name_is_found_and_an_unknown_one_lists_them(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "BUNDLED_WEIGHTS", tmp_path)
    with pytest.raises(InputError, match=r"\(none are bundled\), got 'mspfn-small'"):
        load_weights("mspfn-small")
    network = tiny_network()
    save_weights(tmp_path / "mspfn-small.pt", network)
    assert same_weights(load_weights("mspfn-small"), network)
    with pytest.raises(InputError, match=r"\(mspfn-small\), got 'mspfn-large'"):
        load_weights("mspfn-large")


def test_a_checkpoint_of_another_step_has_other_bytes(tmp_path):
    saved = some_checkpoint(tiny_network(), tiny_network())
    for name, step in (("a.pt", 1), ("b.pt", 2)):
        save_checkpoint(tmp_path / name, replace(saved, step=step))
    assert (tmp_path / "a.pt").read_bytes() != (tmp_path / "b.pt").read_bytes()
