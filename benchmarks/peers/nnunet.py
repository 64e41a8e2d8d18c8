"""How long an epoch of nnU-Net v2 would take here: its own plan, a few of its own iterations.

Rule: nothing is judged. An epoch is 250 iterations and a training 1000 epochs, so that minutes say
nothing about it; what can be compared is what a training costs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from masksmith import files, images
from masksmith.data.batches import PairReader
from peers import sets

_ID, _NAME = "901", "Dataset901_set"
_WARMING, _MEASURED = 1, 4


def estimate(folder: Path) -> str:
    """One sentence: the plan and what an epoch takes, or why that cannot be said."""
    label = f"nnU-Net, {folder.name}"
    if importlib.util.find_spec("nnunetv2") is None:
        return f"{label}: nnunetv2 is not installed in this environment (pip install nnunetv2)."
    with tempfile.TemporaryDirectory() as scratch:
        homes = {f"nnUNet_{kind}": f"{scratch}/{kind}" for kind in ("raw", "preprocessed", "results")}
        _convert(folder, Path(scratch) / "raw" / _NAME)
        environment = {**os.environ, **homes, "nnUNet_n_proc_DA": "1", "PYTHONWARNINGS": "ignore"}
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        plan = ["nnunetv2.experiment_planning.plan_and_preprocess_entrypoints", "-d", _ID, "-c", "2d", "-np", "1"]
        for module in (plan, ["peers.nnunet"]):
            words = [sys.executable, "-m", *module]
            done = subprocess.run(words, env=environment, cwd=scratch, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"{label}: failed, {(done.stderr.strip() or 'no word').splitlines()[-1]}."
    measured = json.loads(done.stdout.strip().splitlines()[-1])
    epoch_s = measured["iterations"] * measured["iteration_s"]
    return (
        f"{label}: planned patch {measured['patch']}, batch {measured['batch']}; {measured['iteration_s']:.2f} s an "
        f"iteration, {epoch_s / 60:.1f} minutes an epoch of {measured['iterations']} iterations, "
        f"{epoch_s * measured['epochs'] / 3600:.0f} hours for its {measured['epochs']} epochs."
    )


def _convert(folder: Path, out: Path) -> None:
    """The training part in nnU-Net's own layout: PNG, the ignored pixels as the last label."""
    checkup = sets.examined(folder)
    table, fingerprint = checkup.require()
    reader = PairReader(checkup.dataset.part("train"), table, fingerprint.preprocessing)
    for index in range(len(reader)):
        pixels_HWC, mask_HW = reader.read(index)
        files.write_bytes(out / "imagesTr" / f"{index:04}_0000.png", images.encode_png(pixels_HWC))
        labels_HW = np.where(mask_HW == 255, len(table), mask_HW).astype(np.uint8)
        files.write_bytes(out / "labelsTr" / f"{index:04}.png", images.encode_png(labels_HW))
    # nnU-Net insists on the name of its first label.
    labels = {"background": 0, **{name: k for k, name in enumerate(table.names) if k}, "ignore": len(table)}
    channels = {str(c): f"channel {c}" for c in range(fingerprint.preprocessing.channels)}
    about = {"channel_names": channels, "labels": labels, "numTraining": len(reader), "file_ending": ".png"}
    files.write_text(out / "dataset.json", json.dumps(about))


def _iterate() -> None:
    """Time a few iterations of nnU-Net's trainer on the data that it has prepared."""
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = get_trainer_from_args(_ID, "2d", 0, device=device)
    trainer.initialize()
    trainer.on_train_start()
    trainer.on_train_epoch_start()
    times = []
    for _ in range(_WARMING + _MEASURED):
        begun = time.monotonic()
        trainer.train_step(next(trainer.dataloader_train))
        times.append(time.monotonic() - begun)
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        if hasattr(loader, "_finish"):  # ends the processes that it has started
            loader._finish()
    plan = trainer.configuration_manager
    measured = {
        "patch": "×".join(map(str, plan.patch_size)),
        "batch": plan.batch_size,
        "iteration_s": float(np.median(times[_WARMING:])),
        "iterations": trainer.num_iterations_per_epoch,
        "epochs": trainer.num_epochs,
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    _iterate()
