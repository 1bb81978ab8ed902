"""A second device with content where there is no GPU: "cuda", emulated, and strict as CUDA is about mixing devices.

Within `emulated_cuda()` torch sees one GPU. A tensor of it is a `DeviceTensor`: a wrapper without storage, of a device
other than the CPU, that holds its content as a tensor of the CPU. Every operation of torch goes through `_Emulation`,
which refuses what CUDA refuses, computes on the CPU and wraps what comes out. Autograd, `torch.func`, forward mode and
autocast are torch's own, above it.

Refused, as on a GPU: operations on tensors of two devices, unless those of the CPU are numbers (0-dim) that an
operation by elements reads, or say where to index a tensor of the device; a generator of another device; `numpy()` of a
tensor of the device.

Not shown: a real GPU's arithmetic (sums in another order, TF32, bfloat16) and random numbers (a seed gives the CPU's),
its memory, speed, streams, and errors that come late; operations that CUDA lacks, or refuses for other reasons; more
than one GPU; libraries beside torch that read a GPU's memory. A gradient that is handed to autograd on the wrong device
is refused only where it meets a tensor of the right one, and in a backward hook the device goes by its `INNER` name.
"""

import ctypes
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch
from weakref import WeakValueDictionary

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
INNER = torch.device("maia", 0)
"""The device's name within torch, of a type that autocast knows and no build computes on: where torch has no CUDA,
autograd lets nothing of the type "cuda" through."""

_CROSSES = {aten.copy_.default, aten._to_copy.default}
"""Operations on tensors of two devices."""
_INDEXES = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
"""Operations whose second argument, the indices, may be of the CPU."""
_READS_NUMBERS = _INDEXES | {
    aten.where.self,
    aten.masked_fill.Tensor,
    aten.masked_fill_.Tensor,
    aten.fill_.Tensor,
}
"""Operations that may read numbers of the CPU, beside those by elements."""


class DeviceTensor(torch.Tensor):
    """A tensor of the emulated device; `content` is the same tensor on the CPU."""

    content: torch.Tensor

    @staticmethod
    def __new__(cls, content: torch.Tensor) -> "DeviceTensor":
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            content.shape,
            strides=content.stride(),
            storage_offset=content.storage_offset(),
            dtype=content.dtype,
            device=INNER,
        )
        made.content = content
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func}: a tensor of the emulated device, outside of `emulated_cuda`")

    def __repr__(self) -> str:
        return f"{self.content!r} on {CUDA}"


class DeviceGenerator(torch.Generator):
    """A generator of the CPU that may be said to be of the device."""

    of_device: ClassVar["WeakValueDictionary[int, DeviceGenerator]"] = WeakValueDictionary()
    """Those of the device, by the address of what they hold: on its way torch makes another object of it."""

    def __new__(cls, device: torch.device | str = "cpu") -> "DeviceGenerator":
        made = super().__new__(cls)
        if torch.device(device).type == "cuda":
            cls.of_device[made._cdata] = made
        return made

    @property
    def device(self) -> torch.device:
        return CUDA if self._cdata in self.of_device else CPU


class _Emulation(TorchDispatchMode):
    """Checks the devices of every operation, computes it on the CPU and wraps what is of the device."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:  # else the first operation imports torch's compiler, for seconds
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves = [*_leaves(args), *_leaves(kwargs.values())]
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        if func not in _CROSSES:
            _refuse_two_devices(func, args, kwargs, tensors)
        if kwargs.get("device") is not None:
            device = torch.device(kwargs["device"])
        elif func is aten.copy_.default:
            device = args[0].device
        else:
            device = INNER if any(tensor.device == INNER for tensor in tensors) else CPU
        for leaf in leaves:
            if isinstance(leaf, torch._C.Generator) and (leaf._cdata in DeviceGenerator.of_device) != (
                device == INNER
            ):
                raise RuntimeError(f"{func}: a generator of another device than {_said(device)}")

        of = {id(tensor.content): tensor for tensor in tensors if isinstance(tensor, DeviceTensor)}
        if func is aten._efficientzerotensor.default:  # it has no content to wrap
            func = aten.zeros.default
        out = func(*map(_on_cpu, args), **{name: _on_cpu(value) for name, value in kwargs.items()})
        if (
            torch.Tag.inplace_view in func.tags and device == INNER
        ):  # the wrapper gets the shape of the content
            with torch._C._DisableTorchDispatch():
                func(*args, **kwargs)
        return _wrapped(func, out, of) if device == INNER else out


def _refuse_two_devices(func: Any, args: Any, kwargs: Any, tensors: list[torch.Tensor]) -> None:
    if len({tensor.device for tensor in tensors}) < 2:
        return
    if func in _INDEXES and args[0].device == INNER:
        where = {id(index) for index in args[1]}
        tensors = [tensor for tensor in tensors if id(tensor) not in where]
    if torch.Tag.pointwise in func.tags or func in _READS_NUMBERS:
        given = zip(func._schema.arguments, args, strict=False)
        held = [*given, *((of, kwargs[of.name]) for of in func._schema.arguments if of.name in kwargs)]
        written = {id(value) for of, value in held if of.alias_info is not None and of.alias_info.is_write}
        tensors = [x for x in tensors if x.device == INNER or x.ndim or id(x) in written]
    if len({tensor.device for tensor in tensors}) > 1:
        raise RuntimeError(
            f"{func}: Expected all tensors to be on the same device, but found at least two devices, {CUDA} and {CPU}!"
        )


def _said(device: torch.device) -> torch.device:
    return CUDA if device == INNER else device


def _leaves(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _leaves(value)
        else:
            yield value


def _on_cpu(value: Any) -> Any:
    if isinstance(value, DeviceTensor):
        return value.content
    if isinstance(value, list | tuple):
        return [_on_cpu(one) for one in value]
    return CPU if isinstance(value, torch.device) and value == INNER else value


def _wrapped(func: Any, value: Any, of: dict[int, DeviceTensor]) -> Any:
    """The tensor of the device whose content this is: the very one, if it was changed in place."""
    if isinstance(value, list | tuple):
        return type(value)(_wrapped(func, one, of) for one in value)
    if not isinstance(value, torch.Tensor):
        return value
    made = of.get(id(value))
    if made is None:
        return DeviceTensor(value)
    if made.shape != value.shape or made.stride() != value.stride():
        raise NotImplementedError(f"{func}: the emulation cannot give a tensor another size in place")
    return made


class _Names(TorchFunctionMode):
    """Says `INNER` to torch where it is told "cuda", and "cuda:0" where torch says `INNER`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.device:
            return func(*args, **(kwargs or {}))
        if func is torch.Tensor.cuda:
            func, args = torch.Tensor.to, (args[0], INNER)
        elif args and isinstance(args[0], DeviceTensor):  # what a wrapper without storage has not
            if func in (torch.Tensor.numpy, torch.Tensor.__array__):
                raise TypeError(f"can't convert {CUDA} device type tensor to numpy. Use Tensor.cpu() first.")
            if func is torch.Tensor.tolist:
                args = (args[0].cpu(),)
            elif func in (torch.Tensor.untyped_storage, torch.Tensor.data_ptr):
                args = (args[0].content,)
        out = func(*map(_inner, args), **{name: _inner(value) for name, value in (kwargs or {}).items()})
        return _said(out) if isinstance(out, torch.device) else out


def _inner(value: Any) -> Any:
    return INNER if isinstance(value, str | torch.device) and str(value) in ("cuda", "cuda:0") else value


def _of_inner_type(does: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, whose first argument is a type of device, for "cuda" too."""
    return lambda device_type, *args, **kwargs: does(
        INNER.type if device_type == "cuda" else device_type, *args, **kwargs
    )


_SEEN: dict[Any, dict[str, Callable[..., Any]]] = {
    torch: {
        "Generator": DeviceGenerator,
        **{name: _of_inner_type(getattr(torch, name)) for name in ("autocast", "is_autocast_enabled")},
        "get_autocast_dtype": _of_inner_type(torch.get_autocast_dtype),
    },
    torch.cuda: {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "is_bf16_supported": lambda including_emulation=True: True,
        "get_rng_state": lambda device=None: torch.get_rng_state(),
        "set_rng_state": lambda state, device=None: torch.set_rng_state(state),
    },
}
"""What stands for torch's own, by module."""


def _guards() -> ctypes.Array[ctypes.c_void_p]:
    """Torch's table of what it asks, by type of device, for the current device and its stream."""
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    return (ctypes.c_void_p * 20).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")


def why_not() -> str | None:
    """Why there is no emulation here, or None."""
    if torch.cuda.is_available():
        return "there is a GPU"
    if torch.version.cuda is not None:
        return "a CUDA build of torch looks for the driver itself; a CPU build does not"
    try:
        _guards()
    except (OSError, ValueError):
        return "this build of torch has no table of device guards that is known"
    return None


@contextmanager
def emulated_cuda() -> Iterator[None]:
    """A context in which torch sees one GPU, which is emulated; tensors of it are of no use outside."""
    guards, types = _guards(), torch._C._autograd.DeviceType
    swaps, lifts = torch.__future__.get_swap_module_params_on_conversion(), torch._C._only_lift_cpu_tensors()
    with ExitStack() as stack:
        for module, names in _SEEN.items():
            for name, does in names.items():
                stack.enter_context(patch.object(module, name, does))
        # Autograd asks for the stream of a tensor's device: the guard of meta tensors knows one, and does nothing. It
        # stays: a tensor that outlives the context must not end the process.
        guards[int(types.MAIA)] = guards[int(types.Meta)]
        # Autograd starts its thread of a device with the first backward of all, and then never again.
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        # `module.to` keeps its parameters, though of another class; `torch.tensor` too goes through the dispatch.
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swaps)
        torch.__future__.set_swap_module_params_on_conversion(True)
        stack.callback(torch._C._set_only_lift_cpu_tensors, lifts)
        torch._C._set_only_lift_cpu_tensors(True)
        stack.enter_context(_Names())
        stack.enter_context(_Emulation())
        yield
