"""`goalcut … --device cuda`, and a run of such a machine looked at where there is no GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from emulated_device import emulated_cuda, why_not

from goalcut.agents.files import read_json
from goalcut.agents.open_run import open_run
from goalcut.cli import main

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
TINY = (
    "--world.size 5 --world.corner-size 3 --network mlp --ppo.rollouts 4 --ppo.num-envs 16 --ppo.num-steps 8 "
    "--ppo.precision float32 --num-levels 32 --measure-levels 4 --measure-every 2 --threads 1 --evaluate.levels 6 "
    "--ablate.levels 4 --ablate.tuning-levels 8 --ablate.curve-levels 2 --ablate.tune.steps 2 --ablate.draws 1 "
    "--ablate.no-profile-cuts --ablate.doses 1.0"
).split()


def goalcut(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


@contextmanager
def threads_kept() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def of_a_gpu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that all commands were given with `--device cuda`."""
    directory = tmp_path_factory.mktemp("runs") / "gpu"
    with threads_kept(), emulated_cuda():
        assert goalcut("run", directory, *TINY, "--device", "cuda", "--analyze.device", "cuda") == 0
    return directory


def test_a_run_on_the_device_ends_with_the_figures_of_the_cpu(of_a_gpu: Path, tmp_path: Path) -> None:
    with threads_kept():
        assert goalcut("run", tmp_path / "cpu", *TINY) == 0
    here, there = (read_json(directory / "summary.json") for directory in (tmp_path / "cpu", of_a_gpu))
    assert there["measures"]["trained"] == pytest.approx(here["measures"]["trained"], abs=1e-3)
    assert there["spectrum"]["rows"] == here["spectrum"]["rows"]
    assert [cut["name"] for cut in there["cuts"]] == [cut["name"] for cut in here["cuts"]]


def test_a_lens_is_given_the_device(of_a_gpu: Path) -> None:
    with emulated_cuda():
        options = "--inputs 40 --features.draws 1 --features.restarts 1 --features.interaction-inputs 8"
        assert goalcut("lens", "features", of_a_gpu, "--device", "cuda", *options.split()) == 0
    assert read_json(of_a_gpu / "lenses" / "features.json")["figures"]


def test_a_run_of_a_gpu_is_looked_at_where_there_is_none(
    of_a_gpu: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = open_run(of_a_gpu)
    assert run.settings.device == "cuda"
    assert run.parameters_after().device.type == "cpu"
    assert goalcut("report", of_a_gpu) == 0
    assert goalcut("evaluate", of_a_gpu, "--levels", "5", "--device", "cpu") == 0
    capsys.readouterr()
    assert goalcut("evaluate", of_a_gpu, "--levels", "6") != 0
    said = " ".join(capsys.readouterr().err.split())
    assert "device is 'cuda', but torch sees 0 GPUs: give 'cpu'" in said
