"""One Python library behind the protocol of the comparison: `serve.py ADAPTER` answers requests on
standard input until it ends.

An adapter is a module beside this file, named as in `faiss_flat` or `scikit_learn:ball`; what follows
the colon goes to its class `Adapter`. `../README.md` describes the protocol.
"""

import importlib
import json
import os
import sys
import time

import numpy as np
import threadpoolctl


def serve(adapter, requests, replies):
    """Answers every request; whatever goes wrong with one becomes its reply."""
    for line in requests:
        try:
            reply = perform(adapter, json.loads(line))
        except Exception as error:
            reply = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


def perform(adapter, request):
    op = request["op"]
    if op == "hello":
        return {"ok": True, "numpy": np.__version__, "blas": blas(), **adapter.hello()}
    if op == "load":
        rows = floats(request["path"], request["rows"], request["dims"])
        start = time.perf_counter()
        adapter.load(rows)
        return {"ok": True, "seconds": time.perf_counter() - start}
    if op == "search":
        return search(adapter, request)
    if op == "join":
        return timed(adapter, request, adapter.join, request["ring"])
    raise ValueError(f"there is no request {op}")


def search(adapter, request):
    queries = floats(request["queries"], request["count"], request["dims"])
    nearest = request.get("nearest")
    if nearest is None:
        rings = request["rings"]
        if len(rings) not in (1, len(queries)):
            raise ValueError("neither one ring nor one for each query")
        return timed(adapter, request, adapter.search, queries, rings)
    return timed(adapter, request, adapter.nearest, queries, nearest)


def timed(adapter, request, call, *arguments):
    """Calls the library and replies with the time that took and what was found."""
    start = time.perf_counter()
    found = call(*arguments)
    seconds = time.perf_counter() - start
    found = [np.sort(np.asarray(ids).astype("<u4")) for ids in adapter.ids(found)]
    if request.get("answer"):
        write_answer(request["answer"], found)
    return {"ok": True, "seconds": seconds, "hits": sum(map(len, found))}


def floats(path, rows, dims):
    """A raw file of little-endian f32, as rows."""
    return np.fromfile(path, dtype="<f4", count=rows * dims).reshape(rows, dims)


def write_answer(path, found):
    """Where the ids of each query end, as u64, after a zero; then all ids, as u32."""
    ends = np.cumsum([0] + [len(ids) for ids in found], dtype="<u8")
    with open(path, "wb") as file:
        ends.tofile(file)
        for ids in found:
            ids.tofile(file)


def blas():
    """Every BLAS in this process with the kernel that it picked, and every pool's number of threads."""
    pools = []
    for pool in threadpoolctl.threadpool_info():
        name = os.path.basename(os.path.dirname(pool["filepath"])).removesuffix(".libs")
        kernel = f" {pool['architecture']}" if pool.get("architecture") else ""
        version = f" {pool['version']}" if pool.get("version") else ""
        pools.append(f"{pool['internal_api']}{version}{kernel} of {name}, {pool['num_threads']} threads")
    return "; ".join(pools)


if __name__ == "__main__":
    module, _, variant = sys.argv[1].partition(":")
    # What a library prints must not come between the replies.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    threads = int(os.environ["OMP_NUM_THREADS"])
    adapter = importlib.import_module(module).Adapter(threads, *([variant] if variant else []))
    serve(adapter, sys.stdin, replies)
