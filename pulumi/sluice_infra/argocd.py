"""Argo CD, and its Secrets: of the cluster, and of the git repository. It does the rest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import yaml

from sluice_infra import versions
from sluice_infra.cluster_objects import ClusterObjects
from sluice_infra.naming import Naming
from sluice_infra.places import ARGO_CD, Labels
from sluice_infra.settings import ArgoCdSettings, SettingsError

IN_CLUSTER = "https://kubernetes.default.svc"


class ArgoCd(pulumi.ComponentResource):
    """The release, the Secret that describes the cluster, and the root Application."""

    def __init__(
        self,
        naming: Naming,
        settings: ArgoCdSettings,
        *,
        root: Mapping[str, Any],
        kubeconfig: pulumi.Input[str],
        facts: Mapping[str, pulumi.Input[str]],
        objects: ClusterObjects,
        password: pulumi.Input[str] | None,
        after: list[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Install it.

        Args:
            naming: How things are called.
            settings: Where its files are.
            root: The root Application.
            kubeconfig: How the cluster is reached.
            facts: Annotations of the cluster's Secret.
            objects: What has to be in the cluster before Argo CD.
            password: Of the git repository, if not everybody may read it.
            after: What has to be there before pods run.
            opts: Pulumi's.
        """
        super().__init__("sluice:infra:ArgoCd", naming.name("argocd"), None, opts)
        cluster = kubernetes.Provider(
            naming.name("cluster"),
            kubeconfig=kubeconfig,
            enable_server_side_apply=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._within = pulumi.ResourceOptions(parent=self, provider=cluster, depends_on=after)
        self._naming = naming
        made = objects.make(naming, within=self._within)
        release = kubernetes.helm.v3.Release(
            naming.name("argocd"),
            name=ARGO_CD,
            chart="argo-cd",
            version=versions.ARGO_CD_CHART,
            repository_opts=kubernetes.helm.v3.RepositoryOptsArgs(repo=versions.ARGO_CD_REPOSITORY),
            namespace=ARGO_CD,
            create_namespace=True,
            value_yaml_files=[_asset(path) for path in settings.values],
            atomic=True,
            timeout=900,
            opts=self._after(made),
        )
        needed: list[pulumi.Resource] = [release, self._cluster_secret(facts, after=release)]
        if password is not None:
            needed.append(self._repository_secret(root, password, after=release))
        kubernetes.apiextensions.CustomResource(
            naming.name("root"),
            api_version=root["apiVersion"],
            kind=root["kind"],
            metadata=root["metadata"],
            spec=root["spec"],
            opts=self._after(needed),
        )
        self.register_outputs({})

    def _after(self, resources: list[pulumi.Resource]) -> pulumi.ResourceOptions:
        more = pulumi.ResourceOptions(depends_on=resources)
        return pulumi.ResourceOptions.merge(self._within, more)

    def _cluster_secret(
        self, facts: Mapping[str, pulumi.Input[str]], *, after: pulumi.Resource
    ) -> pulumi.Resource:
        return kubernetes.core.v1.Secret(
            self._naming.name("in-cluster"),
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name="in-cluster",
                namespace=ARGO_CD,
                labels={
                    Labels.SECRET_TYPE: "cluster",
                    Labels.ENVIRONMENT: self._naming.environment,
                },
                annotations=dict(facts),
            ),
            string_data={
                "name": "in-cluster",
                "server": IN_CLUSTER,
                "config": '{"tlsClientConfig":{"insecure":false}}',
            },
            opts=self._after([after]),
        )

    def _repository_secret(
        self, root: Mapping[str, Any], password: pulumi.Input[str], *, after: pulumi.Resource
    ) -> pulumi.Resource:
        return kubernetes.core.v1.Secret(
            self._naming.name("repository"),
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name="repository", namespace=ARGO_CD, labels={Labels.SECRET_TYPE: "repository"}
            ),
            string_data={
                "type": "git",
                "url": root["spec"]["source"]["repoURL"],
                # Git's hosts want some name beside a token, and do not care which.
                "username": "git",
                "password": password,
            },
            opts=self._after([after]),
        )


def read_root(settings: ArgoCdSettings, *, environment: str) -> dict[str, Any]:
    """Return the root Application of a stack.

    Raises:
        SettingsError: the file is not there, or is not one YAML object.
    """
    manifest = _one_document(settings.root, key="argocd.root")
    return root_application(manifest, settings=settings, environment=environment)


def root_application(
    manifest: Mapping[str, Any], *, settings: ArgoCdSettings, environment: str
) -> dict[str, Any]:
    """Return the root Application for a stack: its environment, and its git if it has another."""
    source = dict(manifest["spec"]["source"])
    if settings.repository:
        source["repoURL"] = settings.repository
    if settings.revision:
        source["targetRevision"] = settings.revision
    source["helm"] = {
        **source.get("helm", {}),
        "valueFiles": [f"../environments/{environment}/root.yaml"],
    }
    return {**manifest, "spec": {**manifest["spec"], "source": source}}


def _asset(path: str) -> pulumi.Asset:
    if not Path(path).is_file():
        raise SettingsError(f"sluice:argocd.values: there is no file {path}")
    return pulumi.FileAsset(path)


def _one_document(path: str, *, key: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(Path(path).read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"sluice:{key}: {path} cannot be read: {error.strerror}") from error
    if not isinstance(document, dict):
        raise SettingsError(f"sluice:{key}: {path} is not one YAML object")
    return document
