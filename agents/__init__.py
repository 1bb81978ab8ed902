"""Learners: networks, PPO, the gradient log, exact and sampled behaviour."""

from .behaviour import ExactBehaviour, network_policy, uniform_policy
from .files import RunConflictError, RunFileError
from .gradient_log import GradientLog, GradientLogWriter
from .networks import ActorCritic, build_network
from .packaged import packaged_agents, unpack_agent
from .parameters import flat_parameters, named_parameters_of, parameter_layout, set_parameters
from .ppo import PPO, PPOSettings
from .recorder import GradientError, GradientRecorder
from .run import PRESETS, Run, TrainSettings
from .sampled_behaviour import SampledBehaviour, behaviour_of_world
from .training import train

__all__ = [
    "PPO",
    "PRESETS",
    "ActorCritic",
    "ExactBehaviour",
    "GradientError",
    "GradientLog",
    "GradientLogWriter",
    "GradientRecorder",
    "PPOSettings",
    "Run",
    "RunConflictError",
    "RunFileError",
    "SampledBehaviour",
    "TrainSettings",
    "behaviour_of_world",
    "build_network",
    "flat_parameters",
    "named_parameters_of",
    "network_policy",
    "packaged_agents",
    "parameter_layout",
    "set_parameters",
    "train",
    "uniform_policy",
    "unpack_agent",
]
