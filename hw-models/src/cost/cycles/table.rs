//! The models, one record each.

use super::{CycleModel, overlapped, systolic, tensor_core};

pub(super) static ALL: [CycleModel; 5] = [
    CycleModel {
        name: "scalesim",
        about: "SCALE-Sim 3.0.0, bit for bit: folds run strictly one after the other and are all as long as a full one",
        valid: "one systolic array, any dataflow, one multiply-accumulate a cycle and element; for comparison with \
                SCALE-Sim rather than with silicon",
        omits: "overlap of loading and multiplying, savings at edges; the count is the index of the last cycle, one \
                below their number; an output-stationary array writes R + C outputs too many in every fold, and \
                partial sums are never read back, as SCALE-Sim has it",
        source: "SCALE-Sim 3.0.0: 97 recorded runs",
        time: systolic::scalesim,
        accesses: systolic::scalesim_accesses,
    },
    CycleModel {
        name: "edge-aware",
        about: "folds run one after the other, each as long as its own tile needs",
        valid: "one systolic array without double buffering; output-stationary as STONNE's TPU mesh, in which every \
                fold takes 5 cycles of control more than in SCALE-Sim",
        omits: "overlap of loading and multiplying; control of the other two dataflows, whose folds are SCALE-Sim's with \
                the tile's real sides",
        source: "STONNE 22634b8: 6 recorded runs",
        time: systolic::edge_aware,
        accesses: systolic::accesses,
    },
    CycleModel {
        name: "double-buffered",
        about: "the next weights are loaded while the present ones work",
        valid: "weight-stationary arrays with two sets of weight registers, as Gemmini's; several arrays share the \
                columns of weight tiles",
        omits: "accumulators are taken to hold 2048 rows of partial sums; longer M is cut there and weights loaded anew",
        source: "the core model of ONNXim a1e8629, which its authors compared with Gemmini RTL",
        time: overlapped::double_buffered,
        accesses: overlapped::double_buffered_accesses,
    },
    CycleModel {
        name: "tpu",
        about: "cubes as wide as the array, shared evenly by all arrays, with one fill and one drain",
        valid: "square weight-stationary arrays, as in TPUs, and products many tiles large",
        omits: "M is padded to whole tiles although it streams; dealing tiles to arrays costs nothing",
        source: "the rule of NeuSim 45dbdc1",
        time: overlapped::tpu,
        accesses: systolic::accesses,
    },
    CycleModel {
        name: "tensor-core",
        about: "tiles of the output in waves over the processors, instructions whole, the fastest tile of those allowed",
        valid: "GPUs: one kernel a product, one tile a processor at a time, K not split",
        omits: "overlap of an epilogue with the next tile, limits of shared memory and registers, clocks that follow \
                power",
        source: "arithmetic of tiles and waves; rates and shapes as the machine's record states them",
        time: tensor_core::time,
        accesses: tensor_core::accesses,
    },
];
