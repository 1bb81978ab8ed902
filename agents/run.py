"""A run of the maze agents: what is trained, and its run directory."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from ..envs.levels import NUM_ACTIONS
from ..envs.moves import default_time_limit
from ..envs.planes import plane_names
from ..envs.world import World
from ..envs.worlds import CheeseInCorner
from .behaviour import ExactBehaviour
from .networks import NETWORKS, ActorCritic, NetworkName, build_network
from .ppo import PPOSettings
from .rollout_run import HeldOut, RolloutRun
from .routing import Router, Routing, parameters_of_features
from .run_directory import check_device
from .sampled_behaviour import SampledBehaviour, behaviour_of_world


@dataclass(frozen=True)
class TrainSettings:
    """Everything needed to repeat a training.

    Attributes:
        world: what lies where, and what it does.
        ppo: the learner's settings.
        network: `conv` (169k parameters at 9×9), `mlp`, `residual_mlp` or `impala`.
        num_levels: size of the pool of training levels.
        time_limit: steps per episode; default 8 × size.
        seed: seed of levels, initial parameters, actions and minibatches.
        record: a row of the gradient log per `rollout` (mean over its updates) or per `update`; or `none`.
        record_terms_every: every how many rollouts each loss term's gradient is recorded alone; 0 is never.
        checkpoint_every: rollouts between checkpoints of the parameters.
        save_every: rollouts between the bundles that a killed run resumes from.
        measure_every: rollouts between exact measures; 0 is never.
        measure_levels: held-out levels of each kind, of split `tune`, that these measures use.
        device: `cpu` or `cuda`.
        threads: CPU threads; default all. One thread makes runs bit-identical on one machine.
        routing: whether samples that show one of the world's two goals alone teach features of their own.
        learner: `goalcut`, this package's PPO, or `sb3`, Stable-Baselines3's (of the extra `goalcut[sb3]`).
    """

    world: World = field(default_factory=CheeseInCorner)
    ppo: PPOSettings = field(default_factory=PPOSettings)
    network: NetworkName = "conv"
    num_levels: int = 16384
    time_limit: int | None = None
    seed: int = 0
    record: Literal["rollout", "update", "none"] = "rollout"
    record_terms_every: int = 8
    checkpoint_every: int = 1
    save_every: int = 5
    measure_every: int = 5
    measure_levels: int = 150
    device: str = "cpu"
    threads: int | None = None
    routing: Routing = field(default_factory=Routing)
    learner: Literal["goalcut", "sb3"] = "goalcut"

    def __post_init__(self) -> None:
        for name, least in (
            ("num_levels", 1),
            ("seed", 0),
            ("record_terms_every", 0),
            ("checkpoint_every", 1),
            ("save_every", 1),
            ("measure_every", 0),
            ("measure_levels", 2),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        if self.seed >= 2**63:
            raise ValueError(f"seed is {self.seed}: give a number below 2**63")
        for name in ("time_limit", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}: give at least 1, or leave it out")
        if self.record not in ("rollout", "update", "none"):
            raise ValueError(f"record is {self.record!r}: give 'rollout', 'update' or 'none'")
        if self.learner not in ("goalcut", "sb3"):
            raise ValueError(f"learner is {self.learner!r}: give 'goalcut' or 'sb3'")
        if self.network not in NETWORKS:
            raise ValueError(f"network is {self.network!r}: give one of {', '.join(NETWORKS)}")
        if self.routing.share:
            if self.learner != "goalcut":
                raise ValueError(
                    f"routing.share is {self.routing.share}, but learner {self.learner!r} routes nothing: give learner "
                    f"'goalcut', or share 0"
                )
            self.router()
        if self.measure_every:
            self.world.check_measurable()
        check_device(self.device)

    def router(self) -> Router | None:
        """What routes gradients in training; None where nothing does.

        Raises:
            ValueError: the world's two goals are not two things to be told apart, or the network has no such features.
        """
        if not self.routing.share:
            return None
        first, second = (goal.name for goal in self.world.goals)
        network = self.new_network()
        count = network.actor.in_features
        parameters_of_features(network, self.routing.features_of(count)[0])
        return Router(self.routing, plane_names(self.world), (first, second), count)

    @property
    def horizon(self) -> int:
        """Steps per episode."""
        return default_time_limit(self.world.size) if self.time_limit is None else self.time_limit

    def new_network(self) -> ActorCritic:
        """The network at its initial parameters θ_0."""
        shape = (len(plane_names(self.world)), self.world.size, self.world.size)
        return build_network(self.network, shape, NUM_ACTIONS, seed=self.seed)

    def resolved(self, held: "TrainSettings | None" = None) -> "TrainSettings":
        """The same with `precision` definite: as `held` has it, or as the device does best."""
        return replace(self, ppo=self.ppo.resolved(self.device, None if held is None else held.ppo))


PRESETS: dict[str, TrainSettings] = {
    "default": TrainSettings(),
    "random-start": TrainSettings(world=CheeseInCorner(size=9, corner_size=3, start="random")),
}


class Run(RolloutRun[TrainSettings]):
    """The files of one maze agent's run; training time is counted in rollouts."""

    kind: ClassVar[str] = "maze"
    settings_type: ClassVar[type] = TrainSettings

    def behaviour(
        self, levels: int, *, split: HeldOut, seed: int, device: str = "cpu"
    ) -> ExactBehaviour | SampledBehaviour:
        """The measures on levels of this split and seed: exact, or sampled where chains would be too large."""
        settings = self.settings
        return behaviour_of_world(
            settings.world, levels, seed=seed, split=split, time_limit=settings.time_limit, device=device
        )
