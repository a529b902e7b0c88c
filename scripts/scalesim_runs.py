"""Records runs of SCALE-Sim in hw-models/tests/scalesim/runs.txt: small layers, every dataflow and representation.

SCALE-Sim 3.0.0 with numpy 1.26.4 on Python 3.11; its only seed is in array.cfg. No option.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent.parent / "hw-models/tests/scalesim"
REPORTS = ["COMPUTE_REPORT.csv", "BANDWIDTH_REPORT.csv", "DETAILED_ACCESS_REPORT.csv", "SPARSE_REPORT.csv"]

SMALL = "IfmapSramSzkB=1 FilterSramSzkB=1 OfmapSramSzkB=1"
WIDE = "ArrayHeight=4 ArrayWidth=6"
ON = "SparsitySupport=true"
CASES = (
    [("gemm.csv", f"Dataflow={df}") for df in ("os", "ws", "is")]
    + [("conv.csv", f"Dataflow={df} {WIDE}") for df in ("os", "ws", "is")]
    + [("sparse.csv", f"Dataflow=ws {ON} SparseRep={rep}") for rep in ("ellpack_block", "csr", "csc")]
    + [("sparse.csv", f"Dataflow={df} {ON}") for df in ("os", "is")]
    + [("sparse.csv", f"Dataflow=ws {ON} OptimizedMapping=true SparseRep={rep}") for rep in ("ellpack_block", "csr")]
    + [("sparse_conv.csv", f"Dataflow=ws {ON} {WIDE}"), ("sparse_conv.csv", f"Dataflow=ws {WIDE}")]
    + [("gemm.csv", f"Dataflow={df} {SMALL}") for df in ("os", "ws", "is")]
    + [("gemm.csv", f"Dataflow=ws {SMALL} InterfaceBandwidth=USER")]
    + [("gemm.csv", "Dataflow=os ArrayHeight=1 ArrayWidth=1")]
)


def run(topology, changes, folder):
    """The reports of one run, as the program writes them."""
    config = (HERE / "array.cfg").read_text()
    for change in changes.split():
        key, value = change.split("=")
        config, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", config)
        assert count == 1, key
    (folder / "run.cfg").write_text(config)
    (folder / "layout.csv").write_text("Layer,\n")
    kind = "conv" if "conv" in topology else "gemm"
    command = [sys.executable, "-W", "ignore", "-m", "scalesim.scale", "-c", "run.cfg", "-t", str(HERE / topology)]
    subprocess.run(command + ["-l", "layout.csv", "-i", kind, "-p", "out"], cwd=folder, check=True, capture_output=True)
    reports = folder / "out/small"
    return [(name, (reports / name).read_text()) for name in REPORTS if (reports / name).exists()]


def main():
    text = "# SCALE-Sim 3.0.0, numpy 1.26.4: written by scripts/scalesim_runs.py from array.cfg with the changes named.\n"
    for topology, changes in CASES:
        text += f"run {topology} {changes}\n"
        with tempfile.TemporaryDirectory() as folder:
            for name, report in run(topology, changes, pathlib.Path(folder)):
                text += f"report {name}\n{report}"
    (HERE / "runs.txt").write_text(text)


if __name__ == "__main__":
    main()
