"""Times SparseGPT and GPTQ of one layer in PyTorch: the peer of `cargo bench -p interplay-compress`.

    python scripts/solver_peer.py [--rows 576] [--columns 1536] [--threads 2] [--repeats 7]

A transcription of the algorithm in our own words, for timing only: damped Hessian, upper Cholesky factor of its inverse by
cholesky, cholesky_inverse and cholesky, then one column after the other in blocks of 128, errors moved inside the block at
once and to later blocks by one product. Needs torch; nothing of the project depends on this file.
"""

import argparse
import statistics
import time

import torch

BLOCK = 128


def upper_factor(hessian, damping=0.01):
    hessian = hessian.clone()
    diagonal = torch.arange(hessian.shape[0])
    hessian[diagonal, diagonal] += damping * hessian.diagonal().mean()
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    return torch.linalg.cholesky(inverse, upper=True)


def int4_per_row(weights):
    """Symmetric 4-bit integers, one scale a row: the function that rounds one column."""
    scale = weights.abs().amax(1) / 7
    scale[scale == 0] = 1
    return lambda column: (column / scale).round().clamp(-7, 7) * scale


def solve(weights, hessian, fraction=None, group=None, quantise=None):
    """`fraction` of each block is pruned, or `group = (pruned, of)`, or nothing; `quantise` rounds a column."""
    weights = weights.clone()
    upper = upper_factor(hessian)
    rounds = quantise(weights) if quantise else None
    loss = 0.0
    for start in range(0, weights.shape[1], BLOCK):
        end = min(start + BLOCK, weights.shape[1])
        block, factor = weights[:, start:end].clone(), upper[start:end, start:end]
        errors = torch.zeros_like(block)
        pruned = torch.zeros_like(block, dtype=torch.bool)
        if fraction is not None:
            scores = block**2 / factor.diagonal() ** 2
            pruned = scores <= scores.flatten().sort()[0][int(scores.numel() * fraction)]
        for i in range(end - start):
            if group is not None and i % group[1] == 0:
                scores = block[:, i : i + group[1]] ** 2 / factor.diagonal()[i : i + group[1]] ** 2
                pruned.scatter_(1, i + scores.topk(group[0], dim=1, largest=False)[1], True)
            column = block[:, i].clone()
            stored = column.masked_fill(pruned[:, i], 0.0)
            if rounds:
                stored = rounds(stored)
            error = (column - stored) / factor[i, i]
            block[:, i:] -= error[:, None] * factor[None, i, i:]
            block[:, i] = stored
            errors[:, i] = error
        loss += (errors**2).sum().item()
        weights[:, start:end] = block
        weights[:, end:] -= errors @ upper[start:end, end:]
    return weights, loss


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=576)
    parser.add_argument("--columns", type=int, default=1536)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    weights = torch.randn(arguments.rows, arguments.columns)
    inputs = torch.randn(2 * arguments.columns, arguments.columns)
    hessian = inputs.T @ inputs * 2 / 16
    cases = {
        "factor": lambda: upper_factor(hessian),
        "sparsegpt 2:4": lambda: solve(weights, hessian, group=(2, 4)),
        "sparsegpt 50%": lambda: solve(weights, hessian, fraction=0.5),
        "gptq int4": lambda: solve(weights, hessian, quantise=int4_per_row),
        "sparsegpt 2:4 + int4": lambda: solve(weights, hessian, group=(2, 4), quantise=int4_per_row),
    }
    print(f"torch {torch.__version__}, {arguments.threads} threads, {arguments.rows} x {arguments.columns}")
    for name, run in cases.items():
        run()
        times = []
        for _ in range(arguments.repeats):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        print(f"{name:<24}{statistics.median(times) * 1e3:>10.1f} ms")


if __name__ == "__main__":
    main()
