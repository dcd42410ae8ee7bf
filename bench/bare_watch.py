"""The least that could be done: watch Workflows, and note when each phase was seen.

    python -m bench.bare_watch KUBECONFIG NAMESPACE COUNT

It is the reference of bench.watching: kubernetes-asyncio opens the watch, and each line is parsed.
It prints `ready` once the watch is open. After COUNT changes of phase it prints one JSON object:
`name/phase` to the time, in nanoseconds of the monotonic clock.
"""

import asyncio
import json
import sys
import time

from kubernetes_asyncio import client, config


async def watch(kubeconfig: str, namespace: str, *, count: int) -> dict[str, int]:
    """Return when each change of phase was seen."""
    await config.load_kube_config(kubeconfig)
    seen: dict[str, int] = {}
    async with client.ApiClient() as api:
        workflows = client.CustomObjectsApi(api)
        answer = await workflows.list_namespaced_custom_object(
            "argoproj.io", "v1alpha1", namespace, "workflows", limit=1
        )
        response = await workflows.list_namespaced_custom_object(
            "argoproj.io",
            "v1alpha1",
            namespace,
            "workflows",
            watch=True,
            resource_version=answer["metadata"]["resourceVersion"],
            _preload_content=False,
        )
        print("ready", flush=True)
        rest = b""
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                found = json.loads(line)["object"]
                phase = found.get("status", {}).get("phase")
                if phase:
                    place = f"{found['metadata']['name']}/{phase}"
                    seen.setdefault(place, time.monotonic_ns())
            if len(seen) >= count:
                break
    return seen


def main() -> None:
    kubeconfig, namespace, count = sys.argv[1:]
    print(json.dumps(asyncio.run(watch(kubeconfig, namespace, count=int(count)))))


if __name__ == "__main__":
    main()
