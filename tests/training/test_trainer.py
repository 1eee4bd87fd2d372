import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from upres.compression.export import export
from upres.compression.structure import load
from upres.errors import RecipeError, UpresError
from upres.evaluation.ensemble import self_ensemble
from upres.images import Picture, read, resize, write
from upres.metrics import psnr
from upres.networks.base import upscale_rgb8
from upres.networks.checkpoint import load_checkpoint, save_checkpoint
from upres.training import targets, trainer
from upres.training.data import load_photographs
from upres.training.log import summary
from upres.training.processes import Processes
from upres.training.recipe import Recipe, load_recipe
from upres.training.stage import StageRun, learning_rate
from upres.training.trainer import train
from upres.training.trials import Trials
from upres.training.validation import mean_psnr

RECIPE = """
[network]
name = "bicubicpp"
scale = 2
channels = 8
anchor = true

[[stage]]
steps = {steps}
batch = 4
patch = 16
warmup = 5
optimizer = "{optimizer}"
learning_rate = 3e-3
losses = {{ l1 = 1.0, luma_l1 = 1.0 }}

[[stage]]
steps = 10
batch = 2
patch = 20
warmup = 0
learning_rate = 1e-4
ema = 0.0
losses = {{ charbonnier = 1.0 }}
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> tuple[Path, Path]:
    """Photographs to train and to validate on."""
    root = tmp_path_factory.mktemp("photographs")
    for part, names in (("train", ("colosseum", "sign")), ("validation", ("cat",))):
        (root / part).mkdir()
        for name in names:
            write(root / part / f"{name}.png", Picture(read(examples / f"{name}.webp").rgb8()))
    return root / "train", root / "validation"


@pytest.fixture
def recipe(tmp_path: Path, folders: tuple[Path, Path]) -> Any:
    def make(steps: int = 40, optimizer: str = "adam", *changes: str) -> Recipe:
        path = tmp_path / "recipe.toml"
        path.write_text(RECIPE.format(steps=steps, optimizer=optimizer))
        data = [f'data.train="{folders[0]}"', f'data.validation="{folders[1]}"']
        return load_recipe(str(path), [*data, "stage.0.precision=32-true", "stage.1.precision=32-true", *changes])

    return make


def weights(checkpoint: Path) -> list[torch.Tensor]:
    return list(load(checkpoint)[1].parameters())


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "soap"])
def test_training_lowers_the_loss_and_beats_bicubic_or_the_start(tmp_path: Path, recipe: Any, optimizer: str) -> None:
    out = tmp_path / "run"
    train(recipe(300, optimizer), out, validate_every=50, log_every=10, quiet=True)
    values = metrics(out)
    assert [value["step"] for value in values] == sorted(value["step"] for value in values)
    assert values[-1]["step"] == 310
    losses = [value["loss"] for value in values if "loss" in value and value["step"] <= 300]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    psnr = [value["psnr"] for value in values if "psnr" in value]
    assert max(psnr) > psnr[0] + 0.5
    assert list(out.glob("events.out.tfevents.*"))


def test_a_run_says_what_it_came_to(tmp_path: Path, recipe: Any) -> None:
    out = tmp_path / "run"
    train(recipe(150), out, log_every=10, quiet=True)
    start = metrics(out)[0]
    assert start["step"] == 0
    assert start["bicubic"] == pytest.approx(start["psnr"], abs=4)  # the anchor alone is nearest-neighbour
    card = json.loads((out / "card.json").read_text())
    assert card["network"] == "bicubicpp"
    assert card["recipe"] == "recipe"
    assert card["trained"].startswith("160 of 160 steps in 0.0")
    assert card["psnr"] == metrics(out)[-1]["psnr"]
    model = export(out / "checkpoint.safetensors", tmp_path / "model.onnx")
    assert (model.recipe, model.trained) == ("recipe", card["trained"])
    found = re.fullmatch(r"loss ([\d.]+) to ([\d.]+), psnr ([\d.]+) to ([\d.]+) dB, bicubic ([\d.]+) dB", summary(out))
    assert found
    loss, less, psnr, more, _ = map(float, found.groups())
    assert less < loss
    assert more > psnr


SHAPED = (
    "network.bias=true",
    "stage.0.after=['remove_biases']",
    "stage.1.before=[{name='add_bases', count=2}]",
    "stage.1.after=['merge']",
    "stage.1.frozen=['head']",
)

QUANTISED = ("stage.1.before=['quantise']", "stage.1.frozen=['head']", "stage.1.ema=0.9")

TAUGHT = ("stage.0.teacher=self", "stage.1.teacher=self")

EVERYTHING = (
    "stage.0.losses={l1=1.0, adversarial={weight=0.01, kind='relativistic_average', channels=2, hidden=4}}",
    "stage.1.losses={ssim=1.0, adversarial={weight=0.01, channels=2, hidden=4}}",
    "stage.1.patch=16",
    "stage.0.accumulate=2",
    "stage.0.clip_norm=0.5",
    "stage.1.clip_value=0.01",
    "stage.0.schedule={name='step', every=10}",
    "stage.1.schedule=knee",
    "data.permute_rgb=true",
    "data.degradation=["
    "{name='gaussian_blur', sigma=[0.2, 2], anisotropic=true, chance=0.8}, "
    "{name='resize', kernel=['area', 'bicubic']}, "
    "{name='gaussian_noise', sigma=[1, 9]}, {name='jpeg', quality=[30, 95]}]",
)


@pytest.mark.parametrize(
    ("optimizer", "changes"),
    [("adam", ()), ("soap", ()), ("adam", EVERYTHING), ("adam", SHAPED), ("adam", QUANTISED), ("adam", TAUGHT)],
)
def test_a_killed_run_goes_on_to_the_same_weights_bit_by_bit(
    tmp_path: Path, recipe: Any, optimizer: str, changes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recipe(40, optimizer, *changes)
    whole = train(made, tmp_path / "whole", validate_every=20, log_every=10, quiet=True)

    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)  # save at every step
    save = trainer._Training._save
    stops = [17, 33, 40, 44, 50]

    class Killed(Exception):
        pass

    def save_and_die(training: Any, run: StageRun, number: int, total: int) -> None:
        save(training, run, number, total)
        if stops and total == stops[0]:
            stops.pop(0)
            raise Killed

    monkeypatch.setattr(trainer._Training, "_save", save_and_die)
    while stops:
        with pytest.raises(Killed):
            train(made, tmp_path / "parts", validate_every=20, log_every=10, quiet=True)
    parts = train(made, tmp_path / "parts", validate_every=20, log_every=10, quiet=True)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(parts), strict=True))
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")


PRUNED = ("stage.0.steps=3", "stage.1.before=[{name='prune', channels=6, candidates=4}]")


def test_a_pruning_killed_amid_its_trials_goes_on_with_the_next(
    tmp_path: Path, recipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recipe(3, "adam", *PRUNED)
    whole = train(made, tmp_path / "whole", quiet=True)

    left = [5]

    class Killed(Exception):
        pass

    def score_or_die(network: Any, photographs: Any) -> float:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return mean_psnr(network, photographs)

    monkeypatch.setattr(trainer, "mean_psnr", score_or_die)
    kills = 0
    while True:  # every part can afford so many scores only, of which the run itself takes up to three
        left[0] = 5
        try:
            parts = train(made, tmp_path / "parts", quiet=True)
            break
        except Killed:
            kills += 1
    assert kills > 2
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(parts), strict=True))


def test_a_pruning_of_other_weights_asks_anew(tmp_path: Path, recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    start = tmp_path / "start.safetensors"
    begun = f"{{name='load', checkpoint='{start}'}}"
    made = recipe(3, "adam", f"stage.0.before=[{begun}, {{name='prune', channels=6, candidates=4}}]")

    def save(seed: int) -> None:
        torch.manual_seed(seed)
        save_checkpoint(start, made.network, made.network.build())

    save(1)
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "StageRun", lambda *_: 1 / 0)  # after the pruning
        with pytest.raises(ZeroDivisionError):
            train(made, tmp_path / "run", quiet=True)
    assert (tmp_path / "run/trials_0_before.json").exists()
    save(2)
    assert weights_of(made, tmp_path / "run") == weights_of(made, tmp_path / "fresh")


def weights_of(recipe: Recipe, out: Path) -> list[list[float]]:
    return [weight.flatten().tolist() for weight in weights(train(recipe, out, quiet=True))]


def test_scores_of_another_run_are_forgotten(tmp_path: Path) -> None:
    network, scores = torch.nn.Identity(), iter([1.0, 2.0, 3.0])
    assert Trials(lambda _: next(scores), tmp_path / "trials.json", "a")(network) == 1.0
    assert Trials(lambda _: next(scores), tmp_path / "trials.json", "a")(network) == 1.0
    assert Trials(lambda _: next(scores), tmp_path / "trials.json", "b")(network) == 2.0
    assert Trials(lambda _: next(scores), tmp_path / "trials.json", "a", writes=False)(network) == 3.0


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX")
def test_the_state_is_whole_after_kill_9(tmp_path: Path, recipe: Any) -> None:
    made = recipe(4000)
    code = (
        "import sys; from upres.training import trainer; trainer.CHECKPOINT_SECONDS = 0.0;"
        "from upres.training.recipe import load_recipe;"
        "trainer.train(load_recipe(sys.argv[1], sys.argv[2:]), __import__('pathlib').Path('run'), quiet=True)"
    )
    changes = [f'data.train="{made.data.train}"', "stage.0.precision=32-true"]
    command = [sys.executable, "-c", code, str(tmp_path / "recipe.toml"), *changes]
    process = subprocess.Popen(command, cwd=tmp_path)
    state = tmp_path / "run" / "state.pt"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert torch.load(state, weights_only=True)["step"] > 0
    load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")


def test_the_parts_of_an_accumulated_batch_add_up(tmp_path: Path, recipe: Any) -> None:
    whole = train(recipe(5), tmp_path / "whole", quiet=True)
    parts = train(recipe(5, "adam", "stage.0.accumulate=4", "stage.1.accumulate=2"), tmp_path / "parts", quiet=True)
    for a, b in zip(weights(whole), weights(parts), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_a_discriminator_has_its_own_share_of_the_learning_rate(tmp_path: Path, recipe: Any, rate: float) -> None:
    adversarial = f"adversarial={{weight=0.01, channels=2, hidden=4, rate={rate}}}"
    made = recipe(1, "adam", f"stage.1.losses={{l1=1.0, {adversarial}}}", "stage.1.patch=16")
    train(made, tmp_path, quiet=True)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    network, discriminator = (state[name]["param_groups"][0]["lr"] for name in ("optimizer", "discriminator_optimizer"))
    assert discriminator == rate * network
    assert network > 0


def drawn(recipe: Recipe) -> dict[str, torch.Tensor]:
    """The weights that a training begins with."""
    torch.manual_seed(recipe.seed)
    network = recipe.network.build()
    network.initialise()
    return network.state_dict()


@pytest.mark.parametrize(("clip", "norm"), [("clip_norm", 2.0), ("clip_value", float("inf"))])
def test_gradients_are_clipped(
    tmp_path: Path, recipe: Any, clip: str, norm: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    adam = torch.optim.Adam.step

    def measured(optimizer: Any, *arguments: Any) -> Any:
        gradients = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]
        sizes.append(float(torch.linalg.vector_norm(torch.cat(gradients), norm)))
        return adam(optimizer, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", measured)
    train(recipe(5), tmp_path / "free", quiet=True)
    assert min(sizes) > 1e-3
    sizes.clear()
    train(recipe(5, "adam", f"stage.0.{clip}=1e-3", f"stage.1.{clip}=1e-3"), tmp_path / "clipped", quiet=True)
    assert sizes == pytest.approx([1e-3] * 15, rel=1e-3)


def test_modules_have_rates_of_their_own_and_a_step_is_bounded(tmp_path: Path, recipe: Any) -> None:
    changes = [
        "stage.0.losses={l1=1e3}",
        "stage.0.learning_rate=0.5",
        "stage.0.warmup=0",
        "stage.0.ema=0",
        "stage.0.clip_step=0.01",
        "network.bias=true",
        "stage.0.rates={head=0, 'blocks.0'=0.1, bias=0.5}",
        "stage.1.learning_rate=0",
    ]
    made = recipe(1, "sgd", *changes)
    fresh = drawn(made)
    after = load_checkpoint(train(made, tmp_path / "run", quiet=True))[1].state_dict()
    change = {name: float((after[name] - fresh[name]).abs().max()) for name in fresh}
    bounds = {"head": 0.0, "blocks": 0.001, "tail": 0.01}
    expected = {name: 0.005 if name.endswith("bias") else bounds[name.partition(".")[0]] for name in fresh}
    assert change == pytest.approx(expected, rel=1e-4)


def test_the_discriminator_learns_beside_the_network(tmp_path: Path, recipe: Any) -> None:
    changes = [
        "network.anchor=false",  # whose SR is easily told apart at first
        "stage.0.losses={l1=1.0, adversarial={weight=1e-3, channels=4, hidden=16}}",
    ]
    train(recipe(60, "adam", *changes), tmp_path / "run", log_every=1, quiet=True)
    values = [value for value in metrics(tmp_path / "run") if "loss.discriminator" in value]
    assert len(values) == 60
    assert set(values[0]) == {"step", "loss", "learning_rate", "loss.l1", "loss.adversarial", "loss.discriminator"}
    assert values[0]["loss"] == pytest.approx(values[0]["loss.l1"] + values[0]["loss.adversarial"])
    told_apart = [value["loss.discriminator"] for value in values]
    assert min(told_apart) < 0.7 * told_apart[0]


def test_a_student_learns_from_a_teacher_that_it_may_outgrow(tmp_path: Path, recipe: Any) -> None:
    teacher = train(recipe(5), tmp_path / "teacher", quiet=True)
    changes = [
        f"stage.{number}.losses={{distillation={{teacher='{teacher}', layers='head', compare='attention'}}}}"
        for number in (0, 1)
    ]
    student = train(recipe(60, "adam", "network.channels=6", *changes), tmp_path / "run", log_every=1, quiet=True)
    losses = [value["loss"] for value in metrics(tmp_path / "run") if "loss" in value]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert load_checkpoint(student)[0].arguments["channels"] == 6


def test_a_stage_learns_what_its_teacher_draws(tmp_path: Path, recipe: Any, folders: tuple[Path, Path]) -> None:
    taught = recipe(20, "adam", "stage.1.teacher=self", "stage.1.steps=30", "stage.1.losses={l1=1.0}")
    done = train(taught, tmp_path / "run", quiet=True)
    drawings = sorted((tmp_path / "run").glob("targets_1_*/*"))
    photographs = list(load_photographs(str(folders[0]), 2).pairs())
    assert [read(target).pixels.shape for target in drawings] == [hr.shape for _, hr in photographs]

    taken_from = recipe(20, "adam", "stage.1.steps=1", "stage.1.learning_rate=0.0")
    teacher = load(train(taken_from, tmp_path / "teacher", quiet=True))[1]
    (lr, hr), target = photographs[0], read(drawings[0]).pixels
    assert np.array_equal(target, self_ensemble(lambda turned: upscale_rgb8(teacher.eval(), turned), lr))
    assert psnr(target, hr, shave=2) > psnr(upscale_rgb8(teacher, lr), hr, shave=2)
    assert psnr(upscale_rgb8(load(done)[1], lr), target, shave=2) > psnr(upscale_rgb8(teacher, lr), target, shave=2)

    by_path = recipe(
        20, "adam", *(f"stage.{number}.teacher={tmp_path / 'teacher/checkpoint.safetensors'}" for number in (0, 1))
    )
    train(by_path, tmp_path / "other", quiet=True)
    assert np.array_equal(read(sorted((tmp_path / "other").glob("targets_0_*/*"))[0]).pixels, target)


def test_each_process_begins_with_its_share_of_the_targets(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    photographs, order = load_photographs(str(folders[0]), 2), []
    count = len(photographs.sides)
    assert count > 1

    def told(done: int, of: int) -> None:
        assert of == count
        order.append({int(path.stem[:6]) for path in tmp_path.iterdir()})

    targets.drawn(photographs, lambda lr: resize(lr, (2 * lr.shape[0], 2 * lr.shape[1])), tmp_path, told, share=(1, 2))
    assert order[0] == {count // 2}
    assert order[-1] == set(range(count))
    targets.drawn(photographs, lambda lr: pytest.fail("drawn again"), tmp_path, share=(0, 2))


def test_another_teacher_draws_anew(tmp_path: Path, recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = tmp_path / "teacher/checkpoint.safetensors"
    taught = recipe(3, "adam", f"stage.0.teacher={teacher}")
    train(recipe(1), teacher.parent, quiet=True)
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "StageRun", lambda *_: 1 / 0)  # after the teacher has drawn
        with pytest.raises(ZeroDivisionError):
            train(taught, tmp_path / "run", quiet=True)
    train(recipe(9), tmp_path / "better", quiet=True)
    shutil.copy(tmp_path / "better/checkpoint.safetensors", teacher)
    assert weights_of(taught, tmp_path / "run") == weights_of(taught, tmp_path / "fresh")
    assert len(list((tmp_path / "run").glob("targets_0_*"))) == 2


def test_targets_that_can_not_be_drawn_again_are_missed(
    tmp_path: Path, recipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    step = StageRun.step
    monkeypatch.setattr(
        StageRun, "step", lambda run, number, *batch: step(run, number, *batch) if number < 3 else 1 / 0
    )
    taught = recipe(9, "adam", "stage.0.teacher=self")
    with pytest.raises(ZeroDivisionError):
        train(taught, tmp_path / "run", quiet=True)
    next((tmp_path / "run").glob("targets_0_*/*")).unlink()
    with pytest.raises(RecipeError, match=r"targets_0_[0-9a-f]+: pictures are missing that the network drew before"):
        train(taught, tmp_path / "run", quiet=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("stage.0.teacher=none.safetensors", r"stage\.0\.teacher: none\.safetensors"),
        ("data.degradation=[{name='resize'}]", r"stage\.0\.teacher: works without data\.degradation and scales only"),
    ],
)
def test_a_teacher_that_does_not_fit_is_said(tmp_path: Path, recipe: Any, change: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        train(recipe(5, "adam", "stage.0.teacher=self", change), tmp_path / "run", quiet=True)


def test_a_loss_that_does_not_fit_is_said_before_training(tmp_path: Path, recipe: Any) -> None:
    with pytest.raises(RecipeError, match=r"stage.1.losses.adversarial: .* multiple of 16, not 40"):
        train(recipe(5, "adam", "stage.1.losses={adversarial=1.0}"), tmp_path / "run", quiet=True)
    with pytest.raises(RecipeError, match=r"stage.0.losses.distillation: none.safetensors"):
        train(
            recipe(5, "adam", "stage.0.losses={distillation={teacher='none.safetensors'}}"),
            tmp_path / "run",
            quiet=True,
        )


def test_the_class_module_of_classsr_learns_to_choose_and_to_share(tmp_path: Path, recipe: Any) -> None:
    changes = [
        "network={name='classsr', scale=4, base='fsrcnn', channels=[4, 6, 8]}",
        "stage.0.losses={l1=1.0, class_loss=0.5, average_loss=3.0}",
        "stage.1.losses={l1=1.0}",
    ]
    train(recipe(10, "adam", *changes), tmp_path / "run", log_every=1, quiet=True)
    first = next(value for value in metrics(tmp_path / "run") if "loss" in value)
    assert first["loss.class_loss"] == pytest.approx(1, abs=0.3)  # at first no class is likelier: 0.5 · (M - 1)
    assert first["loss.average_loss"] < 1


def test_actions_change_the_network_between_stages(tmp_path: Path, recipe: Any) -> None:
    parts = train(recipe(20, "adam", *SHAPED), tmp_path / "run", quiet=True)
    _, network = load_checkpoint(parts)
    assert {name.rpartition(".")[2] for name in network.state_dict()} == {"weight"}
    assert {weight.ndim for weight in network.parameters()} == {4}  # the kernels' bases are merged


def test_training_as_integers_compute_ends_in_a_model_of_integers(tmp_path: Path, recipe: Any) -> None:
    trained = train(recipe(20, "adam", *QUANTISED, "stage.1.precision=bf16-mixed"), tmp_path / "run", quiet=True)
    card = export(trained, tmp_path / "model.onnx")
    assert card.precision == "int8"
    assert card.parameters == json.loads((tmp_path / "run" / "card.json").read_text())["parameters"]
    later = recipe(5, "adam", f"stage.0.before=[{{name='load', checkpoint='{trained}'}}]")
    assert metrics(train(later, tmp_path / "later", quiet=True).parent)


def test_frozen_modules_stay_and_a_module_trains_alone(tmp_path: Path, recipe: Any) -> None:
    changes = [
        "network={name='classsr', scale=4, base='fsrcnn', channels=[4, 6, 8]}",
        "stage.0.module='branches.1'",
        "stage.1.losses={l1=1.0, class_loss=0.5, average_loss=3.0}",
        "stage.1.frozen=['branches']",
    ]
    made = recipe(10, "adam", *changes)
    fresh = drawn(made)
    one = train(replace(made, stages=made.stages[:1]), tmp_path / "one", quiet=True)
    both = train(made, tmp_path / "both", quiet=True)
    first, second = (load_checkpoint(path)[1].state_dict() for path in (one, both))

    def changed(before: Any, after: Any) -> set[str]:
        return {".".join(name.split(".")[:2]) for name in before if not torch.equal(before[name], after[name])}

    assert changed(fresh, first) == {"branches.1"}
    assert changed(first, second) == {"class_module.convolutions", "class_module.dense"}


def test_a_run_starts_from_weights_of_another_scale(tmp_path: Path, recipe: Any) -> None:
    earlier = train(recipe(5), tmp_path / "earlier", quiet=True)
    other = ["network.scale=3", f"stage.0.before=[{{name='load', checkpoint='{earlier}', fitting=true}}]"]
    still = [f"stage.{number}.learning_rate=0" for number in (0, 1)]
    later = train(recipe(5, "adam", *other, *still), tmp_path / "later", quiet=True)
    old, new = load_checkpoint(earlier)[1].state_dict(), load_checkpoint(later)[1].state_dict()
    assert torch.equal(old["head.weight"], new["head.weight"])
    assert old["tail.weight"].shape != new["tail.weight"].shape
    with pytest.raises(RecipeError, match=r"stage.0.before: load: .* is of scale 2, not 3"):
        train(
            recipe(5, "adam", *(change.replace(", fitting=true", "") for change in other)), tmp_path / "x", quiet=True
        )


def test_one_set_of_weights_trains_for_several_scales(tmp_path: Path, recipe: Any) -> None:
    network = "network={name='carn', scale=2, scales=[2, 3], channels=8}"
    made = recipe(12, "adam", network, "stage.0.scales=[2, 3]", "stage.0.ema=0.0")
    trained = load_checkpoint(train(made, tmp_path / "run", quiet=True))[1].state_dict()
    assert set(drawn(made)) == set(trained)
    changed = {name.split(".")[1] for name in trained if not torch.equal(drawn(made)[name], trained[name])}
    assert {"2", "3"} <= changed, "the upsamplers of both scales"
    spec, loaded = load(tmp_path / "run" / "checkpoint.safetensors", 3)
    assert (spec.arguments["scale"], loaded.scale, loaded.scales) == (3, 3, (2, 3))
    assert loaded(torch.zeros(1, 3, 5, 4)).shape == (1, 3, 15, 12)
    with pytest.raises(RecipeError, match=r"stage.1.scales = \[2, 4\]: the network has weights for 2, 3 only"):
        train(recipe(5, "adam", network, "stage.1.scales=[2, 4]"), tmp_path / "x", quiet=True)


def test_a_stage_may_train_on_photographs_of_its_own(tmp_path: Path, recipe: Any, folders: tuple[Path, Path]) -> None:
    usual = train(recipe(5), tmp_path / "usual", quiet=True)
    other = train(recipe(5, "adam", f"stage.1.train={folders[1]}"), tmp_path / "other", quiet=True)
    losses = [[line["loss"] for line in metrics(run.parent) if "loss" in line] for run in (usual, other)]
    assert losses[0][0] == losses[1][0]
    assert losses[0][-1] != losses[1][-1]
    with pytest.raises(RecipeError, match="nowhere"):
        train(recipe(5, "adam", "stage.1.train=nowhere"), tmp_path / "x", quiet=True)


def test_weights_are_interpolated_with_others(tmp_path: Path, recipe: Any) -> None:
    first = train(recipe(5), tmp_path / "first", quiet=True)
    plain = train(recipe(9), tmp_path / "plain", quiet=True)
    change = f"stage.1.after=[{{name='interpolate', checkpoint='{first}', share=0.25}}]"
    mean = train(recipe(9, "adam", change), tmp_path / "mean", quiet=True)
    for a, b, between in zip(weights(first), weights(plain), weights(mean), strict=True):
        torch.testing.assert_close(between, 0.25 * a + 0.75 * b)
    with pytest.raises(RecipeError, match=r"stage.1.after: interpolate: .* other names or shapes"):
        train(recipe(9, "adam", change, "network.channels=6"), tmp_path / "other", quiet=True)


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="needs gloo")
@pytest.mark.parametrize(
    ("losses", "difference"),
    [("{l1=1.0}", 1e-4), ("{l1=1.0, adversarial={weight=1e-3, channels=2, hidden=4}}", 5e-3)],
    ids=["pixels", "adversarial"],  # whose discriminator has batch norm, over fewer patches in each process
)
def test_two_processes_train_the_same_weights_as_one(
    tmp_path: Path, recipe: Any, losses: str, difference: float
) -> None:
    changes = [f"stage.0.losses={losses}", "stage.0.accumulate=2", "stage.0.learning_rate=1e-3"]
    made = recipe(12, "adam", *changes)
    one = train(made, tmp_path / "one", quiet=True)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--no-python"]
    command += [str(Path(sys.executable).with_name("upres")), "train"]
    command += [str(tmp_path / "recipe.toml"), "--out", str(tmp_path / "two"), "--accelerator=cpu", "--quiet"]
    for change in (f'data.train="{made.data.train}"', f'data.validation="{made.data.validation}"', *changes):
        command += ["--set", change]
    command += ["--set", "stage.0.precision=32-true", "--set", "stage.1.precision=32-true"]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=120)
    for a, b in zip(weights(one), weights(tmp_path / "two" / "checkpoint.safetensors"), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=difference)
    assert [line["step"] for line in metrics(tmp_path / "two")] == [0, 12, 12, 22, 22]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("stage.1.module=blocks", r"stage.1.module = blocks: is a ModuleList, no network"),
        (
            "stage.0.frozen=[hat]",
            r"stage.0.module, frozen or rates: the network has no \[hat\]; it has activation, head",
        ),
        ("stage.0.precision=16-mixed", r"stage.0.precision = 16-mixed: needs a GPU"),
        ("stage.0.after=[{name='load', checkpoint='none.safetensors'}]", r"stage.0.after: load: none.safetensors"),
        ("stage.0.difficulty={by='bicubic', part=0, parts=9999999}", r"stage.0.difficulty.parts = 9999999"),
    ],
)
def test_what_does_not_fit_a_stage_is_said(tmp_path: Path, recipe: Any, change: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        train(recipe(1, "adam", change), tmp_path / "run", accelerator="cpu", quiet=True)


def test_a_batch_that_cannot_be_shared_is_said(tmp_path: Path, recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Processes, "started", lambda: Processes(0, 3))
    with pytest.raises(RecipeError, match=r"stage.0.batch = 4: cannot be shared by 3 processes"):
        train(recipe(5), tmp_path / "run", quiet=True)


def test_batch_norm_is_averaged_and_validated_with_its_statistics(tmp_path: Path, recipe: Any) -> None:
    network = "network={name='srresnet', scale=2, channels=4, blocks=1}"
    checkpoint = train(recipe(20, "adam", network), tmp_path / "run", validate_every=10, quiet=True)
    _, made = load_checkpoint(checkpoint)
    statistics = dict(made.named_buffers())
    assert all(int(value) == 30 for name, value in statistics.items() if name.endswith("num_batches_tracked"))


def test_bf16_trains_weights_that_stay_f32(tmp_path: Path, recipe: Any) -> None:
    made = recipe(20, "soap", "stage.0.precision=bf16-mixed", "stage.1.precision=bf16-mixed")
    checkpoint = train(made, tmp_path / "run", log_every=1, quiet=True)
    assert all(weight.dtype == torch.float32 for weight in weights(checkpoint))
    losses = [value["loss"] for value in metrics(tmp_path / "run") if "loss" in value and value["step"] <= 20]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_a_folder_of_another_run_is_not_touched(tmp_path: Path, recipe: Any) -> None:
    train(recipe(5), tmp_path / "run", quiet=True)
    for changed in (recipe(6), recipe(5, "adam", f"data.lr='{tmp_path}'")):
        with pytest.raises(RecipeError, match="another recipe"):
            train(changed, tmp_path / "run", quiet=True)


@pytest.mark.parametrize("action", ["remove_biases", "add_bases"])
def test_what_needs_plain_convolutions_says_so(tmp_path: Path, recipe: Any, action: str) -> None:
    changes = ["network={name='ecbsr', scale=2, channels=4, blocks=1}", f"stage.0.before=['{action}']"]
    with pytest.raises(RecipeError, match=rf"stage.0.before: {action}: .* merge must come first"):
        train(recipe(1, "adam", *changes), tmp_path / "run", quiet=True)
    merged = recipe(3, "adam", changes[0], f"stage.0.before=['merge', '{action}']")
    checkpoint = train(merged, tmp_path / "merged", quiet=True)
    assert train(merged, tmp_path / "merged", quiet=True) == checkpoint, "which reads what it wrote"
    assert load_checkpoint(checkpoint)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_state(
    tmp_path: Path, recipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(UpresError, match=r"lower stage.0.learning_rate; .* keeps the last good state"):
        train(recipe(60, "adam", "stage.0.learning_rate=1e18"), tmp_path / "run", log_every=1, quiet=True)
    for weight in weights(tmp_path / "run" / "checkpoint.safetensors"):
        assert weight.isfinite().all()


def test_a_run_that_diverged_goes_on_at_a_lower_rate(tmp_path: Path, recipe: Any) -> None:
    with pytest.raises(UpresError, match=r"lower stage.1.learning_rate"):
        train(recipe(5, "adam", "stage.1.learning_rate=1e18"), tmp_path / "run", log_every=1, quiet=True)
    train(recipe(5), tmp_path / "run", log_every=1, quiet=True)
    assert metrics(tmp_path / "run")[-1]["step"] == 15


@pytest.mark.parametrize("content", [b"", b"rubbish", b"PK\x03\x04", None])
def test_a_damaged_state_is_named_and_a_cut_line_is_left_out(
    tmp_path: Path, recipe: Any, content: bytes | None
) -> None:
    train(recipe(5), tmp_path, quiet=True)
    log, state = tmp_path / "metrics.jsonl", tmp_path / "state.pt"
    whole = metrics(tmp_path)
    with log.open("a") as file:
        file.write('{"step": 15, "lo')
    train(recipe(5), tmp_path, quiet=True)
    assert metrics(tmp_path) == whole
    state.write_bytes(state.read_bytes()[:-2000] if content is None else content)
    with pytest.raises(RecipeError, match=r"state\.pt: is damaged .*; delete it to begin anew"):
        train(recipe(5), tmp_path, quiet=True)


@pytest.mark.parametrize("name", ["save_checkpoint", "torch.save"])
def test_a_full_disk_is_said(tmp_path: Path, recipe: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("unexpected pos 44096 vs 44048")  # as PyTorch says it

    monkeypatch.setattr(f"upres.training.trainer.{name}", full)
    with pytest.raises(UpresError, match=r"cannot be written .*; make room on the disk and"):
        train(recipe(5), tmp_path, quiet=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_an_accelerator_that_is_not_there_is_said(tmp_path: Path, recipe: Any) -> None:
    with pytest.raises(RecipeError, match="accelerator cuda: PyTorch finds none here; take auto or cpu"):
        train(recipe(5), tmp_path, accelerator="cuda", quiet=True)


def test_weights_that_are_not_finite_never_replace_the_checkpoint(
    tmp_path: Path, recipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    step = StageRun.step

    def poisoned(run: Any, number: int, lr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        loss = step(run, number, lr, hr)
        if number == 9:  # the last of its stage
            run.whole.head.weight.data.fill_(float("nan"))
        return loss

    monkeypatch.setattr(StageRun, "step", poisoned)
    with pytest.raises(UpresError, match="weights are no longer finite at step 10"):
        train(recipe(10), tmp_path / "run", quiet=True)
    assert all(weight.isfinite().all() for weight in weights(tmp_path / "run" / "checkpoint.safetensors"))


def test_no_photographs_is_said(tmp_path: Path, recipe: Any) -> None:
    with pytest.raises(RecipeError, match=r"nowhere: is no folder; set data.train and data.validation"):
        train(recipe(5, "adam", "data.train=nowhere"), tmp_path / "run", quiet=True)
    with pytest.raises(RecipeError, match=r"stage\.0\.frozen: leaves nothing to train"):
        train(recipe(5, "adam", "stage.0.frozen=['head', 'blocks', 'tail']"), tmp_path / "run", quiet=True)
    with pytest.raises(RecipeError, match=r"set data.train"):
        train(recipe(5, "adam", f'data.train="{tmp_path}"'), tmp_path / "run", quiet=True)
    with pytest.raises(RecipeError, match=r"no folder of photographs is given: set data.train"):
        train(recipe(5, "adam", 'data.train=""'), tmp_path / "run", quiet=True)


def test_the_learning_rate_rises_then_falls_along_a_cosine(recipe: Any) -> None:
    stage = recipe(100).stages[0]
    rates = [learning_rate(stage, step) for step in range(100)]
    assert rates[0] == pytest.approx(stage.learning_rate / 5)
    assert max(rates) == rates[5] == stage.learning_rate
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[99] < 1e-3 * stage.learning_rate


def test_the_schedule_of_a_recipe_is_kept(recipe: Any) -> None:
    stage = recipe(100, "adam", "stage.0.schedule={name='multi_step', milestones=[20, 60], factor=0.1}").stages[0]
    rates = [learning_rate(stage, step) for step in (4, 19, 20, 59, 60, 99)]
    assert rates == pytest.approx([3e-3, 3e-3, 3e-4, 3e-4, 3e-5, 3e-5])


def test_batches_depend_on_the_seed_alone_and_match_lr_to_hr(folders: tuple[Path, Path]) -> None:
    photographs = load_photographs(str(folders[0]), 3, 16)
    lr, hr = photographs.batch((0, 1), 2, 5, 16)
    again, _ = photographs.batch((0, 1), 2, 5, 16)
    other, _ = photographs.batch((0, 1), 3, 5, 16)
    assert lr.shape == (5, 3, 16, 16)
    assert hr.shape == (5, 3, 48, 48)
    assert torch.equal(lr, again)
    assert not torch.equal(lr, other)
    for number in range(8):
        lr, hr = photographs.batch((0,), number, 3, 16)
        for patch, whole in zip(lr, hr, strict=True):
            small: NDArray[np.float32] = resize(whole.permute(1, 2, 0).numpy(), (16, 16))
            inside = np.abs(small - patch.permute(1, 2, 0).numpy())[3:-3, 3:-3]
            assert inside.mean() < 0.004
