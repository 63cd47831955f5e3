"""Every network says the same of its picture whether it is called or asked for all that it predicts."""

import pytest
import torch

from mspfn.networks import build_network, predict

# name -> a small size, earlier stages, whether it knows mask and streaks
NETWORKS = {
    "mspfn": ({"fine_fusion_units": 1, "channels": 8, "zero_output": False}, 0, False),
    "prenet": ({"stages": 3, "channels": 4}, 2, False),
    "prn": ({"stages": 1, "channels": 4}, 0, False),
    "derainnet": ({"channels": 4}, 0, False),
    "jorder": ({"channels": 8, "blocks": 1, "recurrences": 3}, 2, True),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_predictions_hold_the_called_picture_and_what_the_network_knows(name):
    config, earlier_stages, knows_streaks = NETWORKS[name]
    torch.manual_seed(0)
    network = build_network(name, **config).eval()
    rainy = torch.rand(2, 3, 6, 10)
    with torch.no_grad():
        predictions = predict(network, rainy)
        assert torch.equal(predictions.derained, network(rainy))
    assert len(predictions.stages) == earlier_stages
    for picture in (*predictions.stages, predictions.derained):
        assert picture.shape == rainy.shape
    assert (predictions.mask_logits is not None, predictions.streaks is not None) == (knows_streaks, knows_streaks)
    if knows_streaks:
        assert predictions.mask_logits.shape == (2, 1, 6, 10)
        assert predictions.streaks.shape == rainy.shape
