from itertools import pairwise

import pytest
import torch

from goalcut.agents.networks import NETWORKS, build_network
from goalcut.agents.parameters import (
    entries_by_module,
    flat_parameters,
    named_parameters_of,
    parameter_layout,
    set_parameters,
    units_of,
)

MAZE = (3, 9, 9)


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_conv_has_the_parameters_that_the_design_says() -> None:
    assert count(build_network("conv", MAZE, 4, seed=0)) == 169_429


def test_impala_has_the_published_number_of_parameters() -> None:
    assert count(build_network("impala", (3, 64, 64), 15, seed=0)) == 626_256


def test_residual_mlp_has_the_parameters_of_jaxgmgs() -> None:
    assert count(build_network("residual_mlp", (3, 13, 13), 4, seed=0)) == 98_693


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [5, 9, 13])
def test_every_network_gives_logits_and_values_in_float32(name: str, size: int) -> None:
    planes = torch.randint(2, (7, 3, size, size), dtype=torch.uint8)
    logits, values = build_network(name, (3, size, size), 4, seed=0)(planes)
    assert logits.shape == (7, 4)
    assert values.shape == (7,)
    assert logits.dtype == values.dtype == torch.float32


def test_initial_parameters_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = flat_parameters(build_network("conv", MAZE, 4, seed=3))
    torch.manual_seed(2)
    again = flat_parameters(build_network("conv", MAZE, 4, seed=3))
    other = flat_parameters(build_network("conv", MAZE, 4, seed=4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_building_a_network_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    build_network("conv", MAZE, 4, seed=0)
    assert torch.equal(before, torch.random.get_rng_state())


def test_an_unknown_network_is_named_with_its_value() -> None:
    with pytest.raises(ValueError, match="network is 'lstm': give"):
        build_network("lstm", MAZE, 4, seed=0)  # type: ignore[arg-type]


def test_flat_parameters_written_back_are_the_same_network() -> None:
    network, other = (build_network("conv", MAZE, 4, seed=seed) for seed in (0, 1))
    other.to(memory_format=torch.channels_last)  # the flat order must not follow the memory format
    set_parameters(other, flat_parameters(network))
    planes = torch.rand(5, *MAZE)
    torch.testing.assert_close(network(planes), other(planes))
    assert torch.equal(flat_parameters(network), flat_parameters(other))


def test_the_entries_of_a_module_are_all_its_parameters_wherever_they_lie() -> None:
    layout = {
        "a.bias": (6, 8, (2,)),
        "b.weight": (2, 6, (2, 2)),
        "a.weight": (0, 2, (2, 1)),
        "scale": (8, 9, ()),
    }
    entries = {module: inside.tolist() for module, inside in entries_by_module(layout).items()}
    assert list(entries) == ["a", "b", "scale"]
    assert entries == {"a": [0, 1, 6, 7], "b": [2, 3, 4, 5], "scale": [8]}


def test_parameters_of_another_length_are_refused() -> None:
    layout = parameter_layout(build_network("mlp", MAZE, 4, seed=0))
    with pytest.raises(ValueError, match="another network"):
        named_parameters_of(torch.zeros(10), layout)


def test_every_output_unit_has_its_row_of_each_weight_and_its_entry_of_each_bias() -> None:
    network = build_network("conv", MAZE, 4, seed=0)
    theta, units = flat_parameters(network), units_of(parameter_layout(network))
    rows = [row.reshape(-1) for parameter in network.parameters() for row in parameter.detach()]
    assert len(units) == len(rows)
    for (start, stop), row in zip(units, rows, strict=True):
        assert torch.equal(theta[start:stop], row)
    assert units[0][0] == 0
    assert all(before[1] == after[0] for before, after in pairwise(units))
