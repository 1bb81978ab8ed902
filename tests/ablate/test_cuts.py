import pytest
import torch

from goalcut.ablate.controls import random_control, same_norm, shrink, span_control
from goalcut.ablate.cuts import DirectionsInParts, cut_parameters, orthonormal, relative_norm

P = 300


@pytest.fixture
def thetas() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(P, generator=generator), torch.randn(P, generator=generator)


def basis(count: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(P, count, generator=generator))[0].T.contiguous()


def test_cut_of_rank_zero_changes_no_bit(thetas) -> None:
    theta, theta_0 = thetas
    assert torch.equal(cut_parameters(theta, theta_0, torch.zeros(0, P)), theta)


@pytest.mark.parametrize("dose", [0.0, torch.zeros(7)])
def test_cut_of_dose_zero_changes_no_bit(thetas, dose) -> None:
    theta, theta_0 = thetas
    assert torch.equal(cut_parameters(theta, theta_0, basis(7), dose), theta)


def test_a_cut_agrees_with_a_dense_projector_in_float64(thetas) -> None:
    theta, theta_0 = thetas
    U = basis(7).double()
    dense = theta.double() - 0.6 * U.T @ U @ (theta - theta_0).double()
    torch.testing.assert_close(
        cut_parameters(theta, theta_0, basis(7), 0.6).double(), dense, atol=1e-6, rtol=1e-5
    )


def test_a_whole_cut_leaves_nothing_that_training_moved_along_its_directions(thetas) -> None:
    theta, theta_0 = thetas
    U = basis(5)
    cut = cut_parameters(theta, theta_0, U)
    assert (U @ (cut - theta_0)).abs().max() < 1e-5
    others = basis(P)  # what is orthogonal to the cut stays
    outside = others - (others @ U.T) @ U
    torch.testing.assert_close(outside @ cut, outside @ theta, atol=1e-4, rtol=1e-4)


def test_a_cut_along_all_directions_is_the_untrained_agent(thetas) -> None:
    theta, theta_0 = thetas
    torch.testing.assert_close(cut_parameters(theta, theta_0, basis(P)), theta_0, atol=1e-4, rtol=1e-4)
    assert relative_norm(theta_0, theta, theta_0) == pytest.approx(1.0)


def test_each_direction_can_have_its_own_dose(thetas) -> None:
    theta, theta_0 = thetas
    U = basis(3)
    doses = torch.tensor([1.0, 0.0, 0.5])
    one_by_one = theta - theta  # Δθ of each direction alone, summed
    for direction, dose in zip(U, doses, strict=True):
        one_by_one += cut_parameters(theta, theta_0, direction[None], float(dose)) - theta
    torch.testing.assert_close(
        cut_parameters(theta, theta_0, U, doses) - theta, one_by_one, atol=1e-6, rtol=1e-5
    )


def test_a_direction_can_have_a_dose_for_each_part_of_the_parameters(thetas) -> None:
    theta, theta_0 = thetas
    # Two of one length side by side, as rows of a weight are, and others.
    U, parts = basis(3), [(0, 7), (7, 8), (8, 11), (11, 14), (14, P)]
    doses = torch.rand(3, 5, generator=torch.Generator().manual_seed(1))
    by_part = cut_parameters(theta, theta_0, U, doses, parts)
    for m, (start, stop) in enumerate(parts):
        of_one_dose = cut_parameters(theta, theta_0, U, doses[:, m])
        torch.testing.assert_close(by_part[start:stop], of_one_dose[start:stop], atol=1e-6, rtol=1e-5)
    alike = doses[:, :1].expand(3, 5)
    torch.testing.assert_close(
        cut_parameters(theta, theta_0, U, alike, parts), cut_parameters(theta, theta_0, U, doses[:, 0])
    )
    assert torch.equal(cut_parameters(theta, theta_0, U, torch.zeros(3, 5), parts), theta)


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (1,), (2,), (2, 3)])
@pytest.mark.parametrize("parts", [(), ((0, 4), (4, 8), (8, 200), (200, P))])
def test_sums_of_directions_and_their_gradient_are_those_of_a_dense_product(parts, shape, dtype) -> None:
    U, generator = basis(3), torch.Generator().manual_seed(2)
    weights = torch.rand(*shape, 3, len(parts) or 1, generator=generator).requires_grad_()
    derivative = torch.randn(*shape, P, generator=generator)
    along = torch.tensor([1.0, -2.0, 0.5])
    found = DirectionsInParts(U, parts, dtype).sums(weights if parts else weights[..., 0], along)
    assert found.shape == (*shape, P)
    lengths = torch.tensor([stop - start for start, stop in parts] or [P])
    dense = (weights.double().repeat_interleave(lengths, dim=-1) * (along[:, None] * U).double()).sum(-2)
    gradients = (torch.autograd.grad((x * derivative).sum(), weights)[0] for x in (found, dense))
    for one, other in ((found.double(), dense), gradients):
        error, whole = (one - other).norm().item(), other.norm().item()
        assert error < (1e-5 if dtype is None else 1e-2) * whole


def test_the_dose_is_differentiable(thetas) -> None:
    theta, theta_0 = thetas
    doses = torch.full((4,), 0.3, requires_grad=True)
    cut_parameters(theta, theta_0, basis(4), doses).square().sum().backward()
    assert doses.grad is not None
    assert (doses.grad != 0).all()


def test_shapes_that_do_not_fit_are_named(thetas) -> None:
    theta, theta_0 = thetas
    with pytest.raises(
        ValueError, match=r"directions \(k, P\); got .*\(4, 10\): directions of another network"
    ):
        cut_parameters(theta, theta_0, torch.zeros(4, 10))
    with pytest.raises(ValueError, match=r"dose is of shape \(3,\): give one number or 4"):
        cut_parameters(theta, theta_0, basis(4), torch.ones(3))
    with pytest.raises(ValueError, match=r"give one number or 4 of them or \(4, 2\), one for each part"):
        cut_parameters(theta, theta_0, basis(4), torch.ones(4, 3), [(0, 5), (5, P)])


def test_orthonormal_keeps_the_span_and_drops_what_depends() -> None:
    vectors = basis(3)
    mixed = torch.stack([vectors[0] * 3, vectors[0] + vectors[1], vectors[1], 0.1 * vectors[2] - vectors[0]])
    made = orthonormal(mixed)
    assert made.shape == (3, P)
    torch.testing.assert_close(made @ made.T, torch.eye(3), atol=1e-5, rtol=0)
    torch.testing.assert_close((vectors @ made.T) @ made, vectors, atol=1e-5, rtol=0)


def test_every_control_moves_theta_by_exactly_the_norm_asked_for(thetas) -> None:
    theta, theta_0 = thetas
    controls = [
        random_control(theta, theta_0, 0.7, 20, seed=0),
        span_control(theta, theta_0, basis(20), 0.7, 5, seed=0),
        same_norm("neighbour", theta, theta_0, basis(4), 0.7, {}),
        shrink(theta, theta_0, 0.7),
    ]
    for control in controls:
        made, _ = control.make()
        assert float((made - theta).norm()) == pytest.approx(0.7, rel=1e-4), control.name


def test_span_controls_stay_inside_the_span_and_random_ones_do_not(thetas) -> None:
    theta, theta_0 = thetas
    U = basis(20)

    def outside(control) -> float:
        step = control.make()[0] - theta
        return float((step - (U @ step) @ U).norm() / step.norm())

    for seed in range(3):
        assert outside(span_control(theta, theta_0, U, 0.5, 6, seed)) < 1e-3
        assert outside(random_control(theta, theta_0, 0.5, 6, seed)) > 0.8


def test_controls_are_reproducible_from_their_recipe(thetas) -> None:
    theta, theta_0 = thetas
    made, recipe = random_control(theta, theta_0, 0.7, 5, seed=4).make()
    again, _ = random_control(theta, theta_0, recipe["norm"], recipe["directions"], recipe["seed"]).make()
    assert torch.equal(made, again)
    other, _ = random_control(theta, theta_0, 0.7, 5, seed=5).make()
    assert not torch.allclose(made, other)
