"""A training in progress: the net, its solver, the data, and what is known so far."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

import prototxt_like as pl
from fer_lmdb._version import __version__
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.lmdb_store import SplitArrays
from fer_lmdb.data.loaders import VALIDATION_CHUNK, InMemoryLoader, LoaderOptions, ValidationSet
from fer_lmdb.data.sampler import EpochSampler
from fer_lmdb.data.streaming import StreamingLoader
from fer_lmdb.errors import RunError
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.metadata import ModelMetadata
from fer_lmdb.models.model import Model
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.runtime.device import resolve_device, resolve_dtype
from fer_lmdb.runtime.seeding import derive_seed
from fer_lmdb.training import checkpoints, early_stopping, target_loading
from fer_lmdb.training.distributed import DistributedSolver, ProcessGroup
from fer_lmdb.training.ema import ModelEMA
from fer_lmdb.training.init_weights import InitReport, init_from_model
from fer_lmdb.training.recipe import Recipe
from fer_lmdb.training.targets import Targets
from fer_lmdb.training.tensorboard import TensorBoardLogger


@dataclass
class Trainer:
    """A training in progress: the net, its solver, the data, and what is known so far."""

    plan: Recipe
    data: DataSet
    folder: RunFolder
    iteration: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    loader_options: LoaderOptions = field(default_factory=LoaderOptions)
    process_group: ProcessGroup = field(default_factory=ProcessGroup)

    def __post_init__(self) -> None:
        options, plan = self.plan.options, self.plan
        self.device = resolve_device(self.process_group.device(options.device))
        self.dtype = resolve_dtype(options.precision, self.device)
        mean = self.data.mean()
        torch.manual_seed(derive_seed(plan.seed, 0, "fill"))
        self.rank_seed = self.process_group.rank_seed(plan.seed)
        self.targets = Targets(plan.solver, len(self.data.scheme), self.rank_seed)
        self.net = self._build_net(mean.shape)
        # A run that goes on has its weights in the snapshot; the model that it began with may be gone.
        begins = options.init is not None and not self.folder.snapshot.exists()
        self.initial = self._load_initial(str(options.init)) if begins else None
        self.net.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # In float32 every rounding follows Caffe; elsewhere the fused update saves half of its memory traffic.
        self.solver = DistributedSolver(plan.solver, self.net, fused=self.dtype != torch.float32)
        self.solver.process_group = self.process_group
        self.transform_parameter = pl.data_layer(plan.net, "TRAIN").transform_param
        # A net without a mean_file, as those that normalise each picture by itself, sees no mean.
        self.mean = mean if self.transform_parameter.mean_file else None
        given = None if self.mean is None else torch.from_numpy(self.mean)
        self.transform = pl.Transform(self.transform_parameter, "TRAIN", mean=given)
        self.targets.teach = target_loading.build_online_teachers(plan, self.data, self.mean, self.device, self.dtype)
        self.batches = self._read_batches(options.splits)
        self.validation = self._read_validation()
        checkpoints.validate_cycles(plan.solver)
        early_stopping.validate_early_stopping(plan.solver, has_validation=self.validation is not None)
        self.ema = ModelEMA(self.blobs(), plan.solver.ema_decay) if plan.solver.ema_decay else None
        self.classifier = Classifier(self.model("as it begins"), self.device)
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.loss_count = 0

    def _build_net(self, image_shape: tuple[int, int, int]) -> pl.Net:
        shapes = pl.data_shapes(self.plan.net, "TRAIN", image_shape)
        net, changed = target_loading.adapt_loss_layers(self.plan, self.targets, len(self.data.scheme))
        faces = self.process_group.local_batch_size(self.plan.batch_size)
        own = {name: (faces, *shape[1:]) for name, shape in (shapes | changed).items()}
        return pl.Net(net, phase="TRAIN", input_shapes=own).train()

    def _load_initial(self, name: str) -> InitReport:
        wishes = self.plan.options
        return init_from_model(
            self.net, name, self.data.scheme, reset_classifier=wishes.reset_classifier, widen=wishes.widen
        )

    def _read_batches(self, splits: list[str]) -> InMemoryLoader | StreamingLoader:
        if self.loader_options.should_stream(self.data, splits):
            return self._stream_batches(splits)
        parts = [self.data.read(split) for split in splits]
        images = torch.from_numpy(np.concatenate([part.images for part in parts])).to(self.device)
        labels = torch.from_numpy(np.concatenate([part.labels for part in parts])).to(self.device)
        teacher_rows = self._teacher_rows(parts)
        targets = target_loading.load_targets(self.plan, self.data, self.targets, labels, teacher_rows)
        return InMemoryLoader(images, targets, self.plan.batch_size, self.plan.seed, self._part)

    def _teacher_rows(self, parts: Sequence[SplitArrays]) -> Tensor | None:
        """Return what the teachers say of the faces, None where there are none or they watch the batches."""
        if not self.targets.distills or self.targets.teach is not None:
            return None

        def ask() -> Tensor:
            return target_loading.cached_teacher_probabilities(
                self.plan, self.data, self.folder, parts, self.device, self.dtype
            )

        return self.process_group.broadcast_from_main(ask).to(self.device)

    def _stream_batches(self, splits: list[str]) -> StreamingLoader:
        if self.targets.distills and self.targets.teach is None:
            raise RunError("offline teachers need the data in memory; use --distill-mode online or --loader memory")
        labels = torch.from_numpy(self.data.labels(splits)).to(self.device)
        targets = target_loading.load_targets(self.plan, self.data, self.targets, labels, None)
        sampler = EpochSampler(len(labels), self.plan.batch_size, self.plan.seed, self._part)
        return StreamingLoader(
            self.data.lmdb_faces(splits),
            targets,
            sampler,
            self.loader_options.workers,
            self.loader_options.start_method,
        )

    @property
    def _part(self) -> tuple[int, int]:
        return self.process_group.rank, self.process_group.world_size

    def _read_validation(self) -> ValidationSet | None:
        """Return validation faces and labels; None where they are trained on or do not exist."""
        if "val" in self.plan.options.splits or not self.data.count("val"):
            return None
        return ValidationSet.of(self.data, "val", streamed=self.loader_options.should_stream(self.data, ["val"]))

    @property
    def done(self) -> bool:
        """Tell whether the training has come to its end, planned or early."""
        return self.iteration >= self.plan.iterations or early_stopping.should_stop(self.plan.solver, self.log)

    def step(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Do one iteration, of iter_size batches; return the last one's transformed faces and the mean loss."""
        size = self.plan.solver.iter_size
        losses = []
        for number in range(self.iteration * size, (self.iteration + 1) * size):
            faces, loss = self._forward(number)
            if self.solver.step(loss) and self.ema:
                self.ema.update(self.blobs(), self.iteration)
            losses.append(loss.detach())
        mean = losses[0] if size == 1 else torch.stack(losses).mean()
        self.process_group.all_reduce_mean([mean])
        self.iteration += 1
        self.loss_sum += mean
        self.loss_count += 1
        if checkpoints.is_checkpoint_due(self.plan.solver, self.iteration):
            self.check_weights()
            if self.process_group.is_main_process:
                checkpoints.save_checkpoint(
                    self.model(f"kept after iteration {self.iteration}"), self.folder, self.iteration
                )
        return faces, mean

    def _forward(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the transformed faces of a batch, and their loss; its number decides every draw."""
        images, labels = self.batches.at(number)
        generator = torch.Generator(self.device).manual_seed(derive_seed(self.rank_seed, number, "augment"))
        torch.manual_seed(derive_seed(self.rank_seed, number, "net"))  # dropout draws from the global generator
        faces = self.transform(images, generator=generator).contiguous(memory_format=torch.channels_last)
        faces, *targets = self.targets(faces, labels, number)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            outputs = self.net(**dict(zip(self.net.inputs, (faces, *targets), strict=True)))
            loss = self.net.total_loss(outputs)
        return faces, loss

    def check_finite(self, loss: torch.Tensor | float, what: str = "the loss") -> float:
        """Return a loss as a number.

        Raises:
            RunError: it is infinite or not a number.
        """
        value = float(loss)
        if not np.isfinite(value):
            raise RunError(
                f"{what} became {value} at iteration {self.iteration}; "
                f"try a lower rate, e.g. --base-lr {self.plan.solver.base_lr / 10:g}"
            )
        return value

    def check_weights(self) -> None:
        """Refuse a net that has diverged in its last update, before it replaces a model or a snapshot.

        Raises:
            RunError: a weight is infinite or not a number.
        """
        for name, blob in self.blobs().items():
            self.check_finite(blob.detach().sum(dtype=torch.float64), f"the sum of blob {name}")

    def end_epoch(self, epoch: int, rate: float, logger: TensorBoardLogger) -> dict[str, Any]:
        """Validate and keep the best model; return the epoch's line of the log."""
        record: dict[str, Any] = {"epoch": epoch, "iteration": self.iteration, "lr": rate}
        record["train_loss"] = self.check_finite(self.loss_sum / max(self.loss_count, 1))
        self.check_weights()
        self.loss_sum.zero_()
        self.loss_count = 0
        if self.validation is not None:
            record |= self._validate(logger)
        self.log.append(record)
        if self.plan.solver.lr_policy == "plateau":
            self.solver.plateaus = early_stopping.count_lr_reductions(self.plan.solver, self.log)
        if self._is_best(record):
            self.best = record
            if self.process_group.is_main_process:
                self.model("highest validation accuracy" if self.validation else "last epoch").save(self.folder.best)
        return record

    def _validate(self, logger: TensorBoardLogger) -> dict[str, float]:
        assert self.validation is not None
        labels = self.validation.labels
        probabilities = self._predict(self.validation)
        chosen = probabilities[np.arange(len(labels)), labels]
        loss = self.check_finite(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)).mean(), "the validation loss")
        accuracy = float((probabilities.argmax(axis=1) == labels).mean())
        logger.log_validation(self.iteration, loss, accuracy)
        if self.iteration == self.plan.iterations:
            logger.log_confusion(self.iteration, _confusion(probabilities, labels), self.data.scheme.classes)
        return {"val_loss": loss, "val_accuracy": accuracy}

    def _predict(self, validation: ValidationSet) -> np.ndarray:
        """Classify validation faces, each process its share: (N, classes)."""
        self.classifier.load_weights(self.weights())
        own = self.process_group.rank_slice(len(validation.labels))
        chunks = [
            slice(start, min(start + VALIDATION_CHUNK, own.stop))
            for start in range(own.start, own.stop, VALIDATION_CHUNK)
        ]
        rows = [self.classifier.probabilities(validation.chunk(chunk)) for chunk in chunks]
        return self.process_group.all_gather(np.concatenate(rows or [np.zeros((0, len(self.data.scheme)), np.float32)]))

    def _is_best(self, record: dict[str, Any]) -> bool:
        """Tell whether an epoch is the best by validation; without validation the newest is."""
        if self.best is None or "val_accuracy" not in record:
            return True
        return bool(record["val_accuracy"] > self.best["val_accuracy"])

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the blobs that make the model, by "<layer>/<i>": the averages where there are any."""
        return self.ema.blobs if self.ema else self.blobs()

    def _epoch(self) -> dict[str, Any]:
        """Return the line of the log that was written at this iteration, or the iteration alone."""
        ended = bool(self.log) and self.log[-1]["iteration"] == self.iteration
        return self.log[-1] if ended else {"iteration": self.iteration}

    def blobs(self) -> dict[str, torch.Tensor]:
        """Return the blobs of the net's deploy form by "<layer>/<i>"; classifiers for training alone are left out."""
        deployed = {layer.name for layer in self.plan.deploy.layer}
        blobs = {name: blobs for name, blobs in self.net.params.items() if name in deployed}
        return {f"{name}/{i}": blob for name, tensors in blobs.items() for i, blob in enumerate(tensors)}

    def model(self, selected: str) -> Model:
        """Return the net as it stands as a model; its facts say why this one was taken."""
        facts = {
            "init": self.initial.to_dict() if self.initial else None,
            "recipe": {
                **self.plan.to_dict(),
                "solver": pl.to_text(self.plan.solver),
                "transform": pl.to_text(_without_mean_file(self.transform_parameter)),
                "precision": str(self.dtype),
            },
            "data": self.data.fingerprint(),
            "versions": versions(),
            "selected": selected,
            "epoch": self._epoch(),
        }
        return Model(
            name=self.plan.name,
            deploy_prototxt=pl.to_text(self.plan.deploy),
            transform_prototxt=pl.to_text(_without_mean_file(pl.data_layer(self.plan.net, "TEST").transform_param)),
            weights=self.weights(),
            mean=self.mean,
            scheme=self.data.scheme,
            preprocessing=self.data.preprocessing,
            metadata=ModelMetadata(facts),
        )


def versions() -> dict[str, str]:
    """Return what the figures of a run may depend on."""
    return {
        "fer-lmdb": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }


def _without_mean_file(parameter: pl.TransformationParameter) -> pl.TransformationParameter:
    """Return the transform without the path of its mean: a model carries the mean itself."""
    copy = pl.TransformationParameter()
    copy.CopyFrom(parameter)
    copy.ClearField("mean_file")
    return copy


def _confusion(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count predictions: (C, C), rows are true classes."""
    classes = probabilities.shape[1]
    flat = np.bincount(labels * classes + probabilities.argmax(axis=1), minlength=classes * classes)
    return flat.reshape(classes, classes)
