"""Gradient routing: what a sample shows decides which features it teaches."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from goalcut.agents.networks import ActorCritic, build_network
from goalcut.agents.parameters import parameter_layout
from goalcut.agents.ppo import PPO, PPOSettings
from goalcut.agents.routing import Router, Routing, parameters_of_features
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import train
from goalcut.envs import CheeseMaze, make_levels
from goalcut.envs.planes import plane_names
from goalcut.envs.worlds import CheeseInCorner, StarsAndCheese

PLANES = ("walls", "mouse", "cheese", "star")
SMALL = PPOSettings(rollouts=2, num_envs=8, num_steps=8, epochs=1, minibatches=2, precision="float32")


def observations(shown: Sequence[str], count: int = 6) -> Tensor:
    planes = torch.zeros(count, 4, 5, 5)
    planes[:, 1, 2, 2] = 1
    for thing in shown:
        planes[:, PLANES.index(thing), 0, 1] = 1
    return planes


def flat_gradient(loss: Tensor, network: ActorCritic) -> Tensor:
    parts = torch.autograd.grad(loss, list(network.parameters()), materialize_grads=True, allow_unused=True)
    return torch.cat([part.reshape(-1) for part in parts])


def gradients(network: ActorCritic, planes: Tensor, taught: Tensor | None, hold: bool = True) -> Tensor:
    logits, values = (network(planes) if taught is None else network.routed(planes, taught, hold))[:2]
    return flat_gradient(logits.square().sum() + values.square().sum(), network)


@pytest.fixture(scope="module")
def network() -> ActorCritic:
    network = build_network("conv", (4, 5, 5), 4, seed=0)
    with torch.no_grad():
        for head in (network.actor, network.critic):
            head.bias.normal_(generator=torch.Generator().manual_seed(1))
    return network


def router(share: float = 1.0) -> Router:
    return Router(Routing(share=share), PLANES, ("star", "cheese"), 128)


def taught_by(shown: Sequence[str], share: float = 1.0, count: int = 6) -> Tensor:
    planes = observations(shown, count)
    drawn = torch.rand(len(planes), generator=torch.Generator().manual_seed(0))
    return router(share).taught(planes, drawn)


@pytest.mark.parametrize(("shown", "own"), [("star", 0), ("cheese", 1)])
def test_a_sample_that_shows_one_thing_teaches_none_of_the_other_features(
    network: ActorCritic, shown: str, own: int
) -> None:
    gradient = gradients(network, observations([shown]), taught_by([shown]))
    part = Routing(share=1.0).features_of(128)[own]
    assert gradient[parameters_of_features(network, part)].abs().max() > 0
    for other in set(range(128)) - set(part):
        mask = parameters_of_features(network, range(other, other + 1))
        assert gradient[mask].abs().max() == 0


@pytest.mark.parametrize("shown", [["star", "cheese"], []])
def test_a_sample_that_shows_both_or_neither_teaches_everything(
    network: ActorCritic, shown: list[str]
) -> None:
    taught = taught_by(shown)
    assert taught.all()
    planes = observations(shown)
    torch.testing.assert_close(gradients(network, planes, taught), gradients(network, planes, None))


@pytest.mark.parametrize("hold", [True, False])
def test_routing_changes_no_answer(network: ActorCritic, hold: bool) -> None:
    planes = observations(["star"])
    logits, values, _ = network.routed(planes, taught_by(["star"]), hold)
    for routed, plain in zip((logits, values), network(planes), strict=True):
        torch.testing.assert_close(routed, plain)


def test_features_that_are_not_held_are_taught_as_ever(network: ActorCritic) -> None:
    planes, taught = observations(["star"]), taught_by(["star"])
    torch.testing.assert_close(gradients(network, planes, taught, False), gradients(network, planes, None))


def test_what_untaught_features_give_is_what_is_missing_without_them(network: ActorCritic) -> None:
    planes, taught = observations(["star"]), taught_by(["star"])
    untaught = network.routed(planes, taught)[2]
    without = build_network("conv", (4, 5, 5), 4, seed=0)
    without.load_state_dict(network.state_dict())
    with torch.no_grad():
        for head in (without.actor, without.critic):
            head.weight[:, ~taught[0]] = 0
    missing = torch.cat([network(planes)[0], network(planes)[1][:, None]], 1)
    missing = missing - torch.cat([without(planes)[0], without(planes)[1][:, None]], 1)
    assert missing.abs().max() > 0.01
    torch.testing.assert_close(untaught, missing, rtol=1e-4, atol=1e-5)


def test_the_quiet_term_teaches_only_features_that_the_sample_does_not(network: ActorCritic) -> None:
    planes, taught = observations(["star"]), taught_by(["star"])
    gradient = flat_gradient(network.routed(planes, taught)[2].square().sum(), network)
    own, other = Routing(share=1.0).features_of(128)
    assert gradient[parameters_of_features(network, own)].abs().max() == 0
    for features in (other, range(other.stop, 128)):  # the other thing's, and the shared
        assert gradient[parameters_of_features(network, features)].abs().max() > 0
    layout = parameter_layout(network)
    for head in ("actor", "critic"):
        start, stop, _ = layout[f"{head}.bias"]
        assert gradient[start:stop].abs().max() == 0


def test_the_quiet_loss_is_of_all_samples_of_the_update() -> None:
    world = StarsAndCheese(size=5, schedule="mixed")
    settings = replace(SMALL, minibatches=1)
    env = CheeseMaze(make_levels(world, 32, seed=0), settings.num_envs, seed=0)
    routing = Routing(share=1.0, quiet_coef=0.7)
    planes = plane_names(world)
    fresh = build_network("conv", (len(planes), 5, 5), 4, seed=0)
    router = Router(routing, planes, ("star", "cheese"), 128)
    ppo = PPO(settings, fresh, env, seed=0, router=router)
    rollout, _ = ppo.collect()
    samples = rollout.observations.flatten(0, 1)
    with torch.no_grad():
        untaught = fresh.routed(samples, router.taught(samples, torch.zeros(len(samples))))[2]
    expected = 0.7 * 0.5 * float(untaught.square().sum(1).mean())
    assert 0 < expected == pytest.approx(ppo.learn(rollout)["quiet_loss"], rel=1e-4)


def test_only_the_asked_share_of_samples_is_routed() -> None:
    routed = (~taught_by(["star"], share=0.25, count=4000).all(1)).float().mean()
    assert 0.2 < routed < 0.3


def routed_training(routing: Routing) -> TrainSettings:
    return TrainSettings(
        world=StarsAndCheese(size=5, schedule="mixed"),
        ppo=SMALL,
        num_levels=32,
        measure_every=0,
        record="none",
        threads=1,
        routing=routing,
    )


def test_every_way_to_route_keeps_its_settings_and_trains_otherwise(tmp_path: Path) -> None:
    ways = (
        Routing(),
        Routing(share=1.0),
        Routing(share=1.0, quiet_coef=0.5),
        Routing(share=1.0, hold=False, quiet_coef=0.5),
    )
    ends = []
    for number, routing in enumerate(ways):
        run = Run.create(tmp_path / str(number), routed_training(routing))
        train(run)
        assert Run(tmp_path / str(number)).settings.routing == routing
        ends.append(run.parameters_after())
    for one, other in itertools.combinations(ends, 2):
        assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"world": CheeseInCorner()}, "'corner' has no plane of its own"),
        ({"world": StarsAndCheese(star_looks_like_cheese=True)}, "'star' has no plane of its own"),
        (
            {"world": StarsAndCheese(), "network": "residual_mlp"},
            "features are not those of one linear layer",
        ),
        ({"world": StarsAndCheese(), "learner": "sb3"}, "learner 'sb3' routes nothing"),
    ],
)
def test_routing_where_there_is_nothing_to_route_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainSettings(routing=Routing(share=0.5), **settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("share", 1.5), ("part", 0.0), ("part", 0.6), ("quiet_coef", -1.0), ("quiet_coef", math.inf)],
)
def test_numbers_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"routing.{name} is {value}"):
        Routing(**{"share": 0.5} | {name: value})


def test_settings_that_would_route_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"routing.quiet_coef is 0.5, but routing.share is 0"):
        Routing(quiet_coef=0.5)
    with pytest.raises(ValueError, match=r"routing.hold is False and routing.quiet_coef is 0"):
        Routing(share=0.5, hold=False)
    with pytest.raises(ValueError, match=r"routing.hold is False and routing.quiet_coef is 0"):
        Routing(hold=False)
