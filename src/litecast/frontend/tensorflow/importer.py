"""The table of TensorFlow importers (`tf`), and the attributes that none of them needs."""

from __future__ import annotations

from litecast.frontend.importers import Importer, Importers

__all__ = ["tf"]

HARMLESS = """
T U V S N K Tidx Tperm Tshape Tpaddings Tindices Tparams Taxis Tmultiples Tin Tout Tcond TI TL Tlen Index
Tdim Tsegmentids Tnumsegments Tblock_shape Tcrops Tseg Tdims Tlabels Targmax Tstart Tsplits Tkeys Tvalues
SrcT Tcomplex Treal Tfft index_type shape_type Tlogits Tcomponents input_types
use_cudnn_on_gpu data_format_cpu validate_indices parallel_iterations swap_memory config config_proto
executor_type disable_call_shape_inference grad_a grad_b is_constant stateful_parallelism max_ragged_rank
allowed_devices
"""
"""Element types that the operands show, and hints that never change a result."""

tf = Importers(Importer, HARMLESS.split())
