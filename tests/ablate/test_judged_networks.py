"""The judge of any network, and what a cut does beside its purpose."""

from dataclasses import replace

import pytest
import torch

from goalcut.ablate.activations import EditedNetwork
from goalcut.ablate.edits import MeanAblation, ProjectOut
from goalcut.ablate.judge import Judge
from goalcut.ablate.maze_goals import MazeBehaviour, maze_goals
from goalcut.ablate.side_effects import SideEffects
from goalcut.agents.behaviour import ExactBehaviour
from goalcut.agents.parameters import named_parameters_of, parameter_layout
from goalcut.agents.run import Run
from goalcut.analysis.subject import Subject, subject_of


@pytest.fixture(scope="module")
def judge(small_run: Run) -> Judge:
    world = small_run.settings.world
    exact = ExactBehaviour.of_world(world, 30, seed=0, split="test", time_limit=20)
    goals = maze_goals(world)
    ends = small_run.parameters_after(0), small_run.parameters_after()
    return Judge(small_run.network(), MazeBehaviour(exact), *ends, goals=goals, resamples=200)


@pytest.fixture(scope="module")
def subject(small_run: Run) -> Subject:
    return subject_of(small_run, inputs=300)


def test_a_network_gets_the_verdict_of_its_parameters(judge: Judge, small_run: Run) -> None:
    half = torch.lerp(judge.theta_0, judge.theta, 0.5)
    network = small_run.network(0)
    for parameter, value in zip(
        network.parameters(),
        named_parameters_of(half, parameter_layout(network)).values(),
        strict=True,
    ):
        parameter.data.copy_(value)
    assert judge.judge_network(network).retention == pytest.approx(judge.judge(half).retention, abs=1e-5)
    assert judge.judge_network(judge.network_at(half)) == judge.judge(half)
    assert judge.retention_network(judge.network_at(half)) == judge.retention(half)


def test_an_activation_cut_of_nothing_keeps_all_and_of_everything_loses_the_goals(
    judge: Judge, small_run: Run
) -> None:
    network = small_run.network()
    none = judge.judge_network(EditedNetwork(network, {"trunk": ProjectOut(torch.zeros(0, 256))}))
    assert none.retention == pytest.approx(dict.fromkeys(none.retention, 1.0))
    assert none.selectivity == pytest.approx({"corner": 0.0, "cheese": 0.0}, abs=1e-9)
    blind = judge.judge_network(EditedNetwork(network, {"trunk": MeanAblation(torch.zeros(256))}))
    assert blind.retention["corner_reach"] < 0.5
    assert blind.retention["navigation"] < 0.3
    for name, (low, high) in blind.retention_intervals.items():
        assert low <= blind.retention[name] <= high


def test_measures_of_an_edited_network_have_a_gradient_in_the_doses(judge: Judge, small_run: Run) -> None:
    network = small_run.network().requires_grad_(False)
    vectors = torch.linalg.qr(torch.randn(256, 2, generator=torch.Generator().manual_seed(0)))[0].T
    dose = torch.tensor([0.5, 0.5], requires_grad=True)
    edited = EditedNetwork(network, {"trunk": ProjectOut(vectors, dose=dose)})
    judge.surrogate_network(edited)["corner_reach"].mean().backward()
    assert dose.grad is not None
    assert (dose.grad.abs() > 1e-7).all()


def test_the_trained_network_has_no_side_effects_and_shrinking_it_more_and_more(
    judge: Judge, subject: Subject
) -> None:
    effects = SideEffects(subject, batch=70)
    nothing = effects.of(subject.network)
    assert nothing.kl == 0
    assert nothing.value_error == 0
    told = [effects.of(judge.network_at(torch.lerp(judge.theta, judge.theta_0, s))) for s in (0.1, 0.5, 1.0)]
    assert 0 < told[0].kl < told[1].kl < told[2].kl
    assert told[0].value_error is not None
    assert told[2].value_error is not None
    assert 0 < told[0].value_error < told[2].value_error


def test_side_effects_are_those_of_the_formula(subject: Subject) -> None:
    with torch.no_grad():
        (logits, values), (other, others) = subject.network(subject.inputs), subject.untrained(subject.inputs)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=logits), torch.distributions.Categorical(logits=other)
    )
    effect = SideEffects(subject).of(subject.untrained)
    assert effect.kl == pytest.approx(float(kl.mean()), rel=1e-4)
    assert effect.value_error == pytest.approx(float((others - values).square().mean().sqrt()), rel=1e-4)


def linear(seed: int) -> torch.nn.Module:
    layer = torch.nn.Linear(75, 10, bias=False)
    torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(seed))
    return torch.nn.Sequential(torch.nn.Flatten(), layer)


def test_a_network_without_a_value_has_no_error_of_it_and_one_that_gives_nan_is_refused(
    subject: Subject,
) -> None:
    classifier = replace(
        subject,
        network=linear(seed=0),
        outputs={"logits": lambda given: given},
    )
    effects, other = SideEffects(classifier), linear(seed=1)
    effect = effects.of(other)
    given = [network(classifier.inputs).detach() for network in (classifier.network, other)]
    trained, cut = (torch.distributions.Categorical(logits=logits) for logits in given)
    assert effect.value_error is None
    assert effect.kl == pytest.approx(float(torch.distributions.kl_divergence(trained, cut).mean()), rel=1e-4)
    with pytest.raises(ValueError, match="logits of the cut network are not finite"):
        effects.of(lambda inputs: torch.full((len(inputs), 10), float("nan")))
    with pytest.raises(ValueError, match="outputs of the subject are value: name one logits"):
        SideEffects(replace(subject, outputs={"value": lambda given: given[1][:, None]}))
