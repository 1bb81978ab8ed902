import pytest
import torch

from goalcut.ablate.bootstrap import Bootstrap, interval


def halves(count: int, seed: int) -> torch.Tensor:
    return torch.randint(2, (count,), generator=torch.Generator().manual_seed(seed)).double()


def test_of_zeros_and_ones_the_resampled_counts_are_binomial() -> None:
    values = halves(400, 0)
    share = float(values.mean())
    means = Bootstrap({"a": 400}, paired=False, resamples=4000, seed=0).means("a", values)
    assert float(means[0]) == share
    spread = (share * (1 - share) / 400) ** 0.5
    assert float(means[1:].mean()) == pytest.approx(share, abs=4 * spread / 4000**0.5)
    assert float(means[1:].std()) == pytest.approx(spread, rel=0.06)
    low, high = interval(means)
    assert low == pytest.approx(share - 1.96 * spread, abs=0.3 * spread)
    assert high == pytest.approx(share + 1.96 * spread, abs=0.3 * spread)


def test_paired_measures_share_their_draws_and_unpaired_ones_do_not() -> None:
    values, units = halves(300, 1), {"a": 300, "b": 300, "c": 200}
    paired, alone = (Bootstrap(units, paired=p, resamples=2000, seed=0) for p in (True, False))
    assert torch.equal(paired.means("a", values), paired.means("b", values))
    correlation = torch.corrcoef(torch.stack([alone.means(name, values) for name in "ab"]))[0, 1]
    assert abs(float(correlation)) < 0.1


def test_a_measure_on_other_units_than_said_does_not_pass() -> None:
    with pytest.raises(RuntimeError):
        Bootstrap({"a": 10}, paired=False, resamples=5, seed=0).means("a", halves(11, 0))
