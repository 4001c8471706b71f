"""A cluster of Ray on this machine, whose nodes come and go as lines on standard input say.

add NAME CPUS: a node. kill NAME: as by a power cut. Each line is answered by "done"; the first line printed is the address. It
ends with its standard input.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster


def main(folder: str) -> None:
    # Ray writes the address there, too, and expects the folder to exist.
    os.environ["RAY_TMPDIR"] = folder
    Path(folder, "ray").mkdir()
    head = {"num_cpus": 0, "include_dashboard": False, "temp_dir": folder, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, connect=False, head_node_args=head)
    print(cluster.address, flush=True)
    nodes: dict[str, Any] = {}
    for line in sys.stdin:
        word, name, *cpus = line.split()
        if word == "add":
            nodes[name] = cluster.add_node(num_cpus=int(cpus[0]), object_store_memory=100 << 20, wait=True)
        else:
            cluster.remove_node(nodes.pop(name), allow_graceful=False)
        print("done", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main(sys.argv[1])
