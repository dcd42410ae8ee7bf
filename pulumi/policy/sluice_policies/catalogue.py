"""All rules, by the names that Pulumi shows."""

from collections.abc import Mapping

from sluice_policies import encryption, exposure, federation, nodes, protection, registry, tags
from sluice_policies.buckets import buckets_are_guarded
from sluice_policies.databases import databases_are_guarded
from sluice_policies.network_policies import network_policies_are_enforced
from sluice_policies.resources import Rule, StackRule
from sluice_policies.subnets import load_balancers_are_apart
from sluice_policies.volumes import volumes_are_kept

RULES: Mapping[str, Rule] = {
    "api-is-not-open": exposure.api_is_not_open,
    "buckets-are-not-public": exposure.buckets_are_not_public,
    "databases-are-guarded": databases_are_guarded,
    "disks-are-encrypted": encryption.disks_are_encrypted,
    "everything-is-tagged": tags.everything_is_tagged,
    "github-is-one-repository": federation.github_is_one_repository,
    "images-are-encrypted": encryption.images_are_encrypted,
    "images-are-kept": registry.images_are_kept,
    "images-are-not-public": registry.images_are_not_public,
    "images-stay-as-they-are": registry.images_stay_as_they_are,
    "kafka-is-encrypted": encryption.kafka_is_encrypted,
    "node-pools-are-bounded": nodes.node_pools_are_bounded,
    "nodes-are-not-open": exposure.nodes_are_not_open,
    "nodes-ask-for-tokens": nodes.nodes_ask_for_tokens,
    "prod-is-private": exposure.prod_is_private,
    "prod-is-protected": protection.prod_is_protected,
    "secrets-are-encrypted": encryption.secrets_are_encrypted,
}

STACK_RULES: Mapping[str, StackRule] = {
    "buckets-are-guarded": buckets_are_guarded,
    "network-policies-are-enforced": network_policies_are_enforced,
    "volumes-are-kept": volumes_are_kept,
    "load-balancers-are-apart": load_balancers_are_apart,
}
