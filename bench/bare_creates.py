"""The least that could be done: create Workflows, so many at a time.

    python -m bench.bare_creates KUBECONFIG NAMESPACE COUNT CONCURRENCY <MANIFEST.json

It is the reference of bench.dispatching: kubernetes-asyncio, and nothing else. Each Workflow has a
name of its own. The output is one JSON object: the seconds that the creates took, and the processor
time of this process meanwhile.
"""

import asyncio
import json
import secrets
import sys
import time
from typing import Any

from kubernetes_asyncio import client, config


async def create(
    kubeconfig: str, namespace: str, manifest: dict[str, Any], *, names: list[str], at_once: int
) -> dict[str, float]:
    """Create a Workflow of each name, and return what it took."""
    await config.load_kube_config(kubeconfig)
    settings = client.Configuration.get_default_copy()
    settings.connection_pool_maxsize = at_once
    async with client.ApiClient(settings) as api:
        workflows = client.CustomObjectsApi(api)
        began, cpu = time.perf_counter(), time.process_time()

        async def worker() -> None:
            while names:
                body = {**manifest, "metadata": {**manifest["metadata"], "name": names.pop()}}
                await workflows.create_namespaced_custom_object(
                    "argoproj.io", "v1alpha1", namespace, "workflows", body
                )

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(worker())
        return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}


def main() -> None:
    kubeconfig, namespace, count, at_once = sys.argv[1:]
    names = [f"bare-{secrets.token_hex(8)}" for _ in range(int(count))]
    done = create(kubeconfig, namespace, json.load(sys.stdin), names=names, at_once=int(at_once))
    print(json.dumps(asyncio.run(done)))


if __name__ == "__main__":
    main()
