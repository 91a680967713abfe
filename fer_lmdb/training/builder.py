"""Build a `Trainer` from a recipe, a data set and a run folder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

import prototxt_like as pl
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.loaders import InMemoryLoader, LoaderOptions, ValidationSet
from fer_lmdb.data.sampler import EpochSampler
from fer_lmdb.data.streaming import StreamingLoader
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.runtime.device import resolve_device, resolve_dtype
from fer_lmdb.runtime.seeding import derive_seed
from fer_lmdb.training import distillation
from fer_lmdb.training.distributed import DistributedSolver, ProcessGroup
from fer_lmdb.training.ema import ModelEMA
from fer_lmdb.training.init_weights import InitReport, init_from_model
from fer_lmdb.training.loss_layers import adapt_loss_layers
from fer_lmdb.training.online_teachers import OnlineTeachers
from fer_lmdb.training.recipe import Recipe
from fer_lmdb.training.snapshot import Snapshot, restore_snapshot
from fer_lmdb.training.state import TrainState
from fer_lmdb.training.targets import BatchTargets, TargetBuilder
from fer_lmdb.training.trained_model import make_model
from fer_lmdb.training.trainer import Trainer
from fer_lmdb.training.validator import Validator
from prototxt_like.io.datum_store import SplitArrays


def build_trainer(
    recipe: Recipe,
    data: DataSet,
    run: RunFolder,
    loaders: LoaderOptions | None = None,
    process_group: ProcessGroup | None = None,
) -> Trainer:
    """Build a trainer; its state is that of the run's newest snapshot, if there is one.

    Args:
        recipe: Validated recipe.
        data: Data set.
        run: Run folder.
        loaders: Options of data loading.
        process_group: Processes that train together; None for a single process.
    Raises:
        DataSetError: If a split or the mean image is missing or damaged.
        ModelError: If a model for --init or --teacher is missing or damaged.
        RunError: If such a model does not fit, or the snapshot is damaged.
        DeviceError: If the device is not available.
    """
    loaders, process_group = loaders or LoaderOptions(), process_group or ProcessGroup()
    device = resolve_device(process_group.device(recipe.options.device))
    dtype = resolve_dtype(recipe.options.precision, device)
    rank_seed, classes = process_group.rank_seed(recipe.seed), len(data.scheme)
    mean = data.mean() if pl.data_layer(recipe.net, "TRAIN").transform_param.mean_file else None
    image_shape = data.channels, int(data.manifest["size"]), int(data.manifest["size"])
    snapshot = Snapshot.read(run)
    net = _build_net(recipe, classes, image_shape, process_group)
    # The snapshot holds the weights of a resumed run; the model for --init may no longer exist.
    report = _init_weights(net, recipe, data) if snapshot is None else None
    net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # In float32 every rounding follows Caffe; in other dtypes the fused update saves half of the memory traffic.
    solver = DistributedSolver(recipe.solver, net, process_group, fused=dtype != torch.float32)
    online_teachers = OnlineTeachers.load(recipe, data, mean, device, dtype)
    loader = _build_loader(recipe, data, run, loaders, process_group, device, dtype)
    blobs = _deploy_blobs(net, recipe.deploy)
    validation = _read_validation(recipe, data, loaders)
    classifier = Classifier(make_model(recipe, data, mean, blobs, {}), device)
    ema = ModelEMA(blobs, recipe.solver.ema_decay) if recipe.solver.ema_decay else None
    state = TrainState.start(recipe.solver, device, report)
    if snapshot is not None:
        restore_snapshot(snapshot, net, solver, ema, state)
    return Trainer(
        recipe=recipe,
        data=data,
        run=run,
        net=net,
        solver=solver,
        loader=loader,
        transform=_build_transform(recipe, mean),
        targets=BatchTargets(recipe.solver, classes, rank_seed, online_teachers),
        validator=Validator(validation, classifier, process_group) if validation else None,
        ema=ema,
        blobs=blobs,
        mean=mean,
        dtype=dtype,
        device=device,
        rank_seed=rank_seed,
        state=state,
        process_group=process_group,
    )


def _build_net(recipe: Recipe, classes: int, image_shape: tuple[int, int, int], group: ProcessGroup) -> pl.Net:
    torch.manual_seed(derive_seed(recipe.seed, 0, "fill"))
    shapes = pl.data_shapes(recipe.net, "TRAIN", image_shape)
    net, changed = adapt_loss_layers(recipe.net, recipe.solver, classes)
    local = group.local_batch_size(recipe.batch_size)
    local_shapes = {name: (local, *shape[1:]) for name, shape in (shapes | changed).items()}
    return pl.Net(net, phase="TRAIN", input_shapes=local_shapes).train()


def _init_weights(net: pl.Net, recipe: Recipe, data: DataSet) -> InitReport | None:
    options = recipe.options
    if options.init is None:
        return None
    return init_from_model(
        net, options.init, data.scheme, reset_classifier=options.reset_classifier, widen=options.widen
    )


def _build_transform(recipe: Recipe, mean: np.ndarray | None) -> pl.Transform:
    parameter = pl.data_layer(recipe.net, "TRAIN").transform_param
    return pl.Transform(parameter, "TRAIN", mean=None if mean is None else torch.from_numpy(mean))


def _deploy_blobs(net: pl.Net, deploy: pl.NetParameter) -> dict[str, Tensor]:
    """Return the blobs of the layers in the deploy net by "<layer>/<i>"."""
    deployed = {layer.name for layer in deploy.layer}
    layers = {name: blobs for name, blobs in net.params.items() if name in deployed}
    return {f"{name}/{i}": blob for name, blobs in layers.items() for i, blob in enumerate(blobs)}


def _build_loader(
    recipe: Recipe,
    data: DataSet,
    run: RunFolder,
    loaders: LoaderOptions,
    group: ProcessGroup,
    device: torch.device,
    dtype: torch.dtype,
) -> InMemoryLoader | StreamingLoader:
    splits, part = recipe.options.splits, (group.rank, group.world_size)
    builder = TargetBuilder(recipe.solver, len(data.scheme))
    if loaders.should_stream(data, splits):
        labels = torch.from_numpy(data.labels(splits)).to(device)
        targets = builder.load(data, splits, labels, None)
        sampler = EpochSampler(len(labels), recipe.batch_size, recipe.seed, part)
        faces = data.lmdb_faces(splits)
        return StreamingLoader(faces, targets, sampler, loaders.workers, loaders.start_method)
    parts = {split: data.read(split) for split in splits}
    images = _concatenate([arrays.images for arrays in parts.values()], device)
    labels = _concatenate([arrays.labels for arrays in parts.values()], device)
    rows = _teacher_rows(recipe, data, run, parts, group, device, dtype)
    targets = builder.load(data, splits, labels, rows)
    return InMemoryLoader(images, targets, recipe.batch_size, recipe.seed, part)


def _concatenate(arrays: Sequence[np.ndarray], device: torch.device) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays)).to(device)


def _teacher_rows(
    recipe: Recipe,
    data: DataSet,
    run: RunFolder,
    parts: dict[str, SplitArrays],
    group: ProcessGroup,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor | None:
    """Return the probabilities of offline teachers, computed by the main process; None without offline teachers."""
    if not distillation.uses_offline_teachers(recipe.solver):
        return None
    return group.broadcast_from_main(
        lambda: distillation.cached_teacher_probabilities(recipe, data, run, parts, device, dtype)
    ).to(device)


def _read_validation(recipe: Recipe, data: DataSet, loaders: LoaderOptions) -> ValidationSet | None:
    """Return the validation split; None if it is trained on or does not exist."""
    if not recipe.has_validation(data):
        return None
    return ValidationSet.of(data, "val", streamed=loaders.should_stream(data, ["val"]))
