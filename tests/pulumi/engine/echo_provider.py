"""Stands in for pulumi-resource-aws and -kubernetes: what is asked for is there.

It checks nothing, so it shows what the program and the engine do, not what AWS would say.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

ACCOUNT = "111122223333"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/tests"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""How the engine spells a string that is not yet known."""

Properties = dict[str, Any]

_PROOF = {
    "domainName": "example.com",
    "resourceRecordName": "_proof.example.com",
    "resourceRecordType": "CNAME",
    "resourceRecordValue": "_proof.acm-validations.aws",
}

_MADE_BY_AWS: Mapping[str, Mapping[str, Any]] = {
    "aws:eks/cluster:Cluster": {
        "endpoint": "https://cluster.eks.amazonaws.com",
        "certificateAuthority": {"data": "Q0E="},
    },
    "aws:msk/cluster:Cluster": {"bootstrapBrokersSaslIam": "b-1.kafka.amazonaws.com:9098"},
    "aws:msk/configuration:Configuration": {"latestRevision": 1},
    "aws:rds/instance:Instance": {
        "address": "sluice.abc.rds.amazonaws.com",
        "resourceId": "db-ABC",
        "masterUserSecrets": [{"secretArn": f"arn:aws:secretsmanager:::secret:rds!db-1-{ACCOUNT}"}],
    },
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
    "aws:route53/zone:Zone": {"zoneId": "Z1", "nameServers": ["ns-1.awsdns.com"]},
    "aws:acm/certificate:Certificate": {"domainValidationOptions": [_PROOF]},
    "aws:route53/record:Record": {"fqdn": "_proof.example.com"},
}

ANSWERS: Mapping[str, Properties] = {
    "aws:index/getCallerIdentity:getCallerIdentity": {
        "accountId": ACCOUNT,
        "id": ACCOUNT,
        "arn": CALLER,
    },
}


class EchoProvider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider for every package."""

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version="7.51.1")

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.GetSchemaResponse(schema="{}")

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.DiffResponse(changes=_changes(request.olds, request.news))

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.tok not in ANSWERS:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"nobody taught {request.tok}")
        answer: Any = {"return": _struct(ANSWERS[request.tok])}
        return provider_pb2.InvokeResponse(**answer)

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        olds, news = _plain(request.old_inputs), _plain(request.news)
        for ignored in request.ignoreChanges:
            _put(news, ignored.split("."), olds)
        return provider_pb2.DiffResponse(changes=_changes(_struct(olds), _struct(news)))

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        known = _id_of(request.urn)
        found = made(request.type, known, _plain(request.properties))
        if request.preview:
            found = {**found, **_unknown(request.type)}
        return provider_pb2.CreateResponse(
            id="" if request.preview else known, properties=_struct(found)
        )

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        found = made(request.type, request.id, _plain(request.news))
        return provider_pb2.UpdateResponse(properties=_struct(found))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.ReadResponse(
            id=request.id, properties=request.properties, inputs=request.inputs
        )

    def Delete(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        return empty_pb2.Empty()


def _id_of(urn: str) -> str:
    return f"{urn.rpartition('::')[2]}-{hashlib.sha256(urn.encode()).hexdigest()[:8]}"


def made(kind: str, known: str, inputs: Mapping[str, Any]) -> Properties:
    """Return what is there once these inputs were asked for."""
    found = {**inputs, **_MADE_BY_AWS.get(kind, {})}
    if kind.startswith("aws:"):
        service = kind.removeprefix("aws:").partition("/")[0]
        found["arn"] = f"arn:aws:{service}:::{known}"
        found.setdefault("name", known)
    if kind == "aws:msk/cluster:Cluster":
        found["arn"] = f"arn:aws:kafka:::cluster/{found.get('clusterName')}/uuid"
    if kind == "aws:eks/cluster:Cluster":
        found["vpcConfig"] = {**found.get("vpcConfig", {}), "clusterSecurityGroupId": f"sg-{known}"}
    return found


def _unknown(kind: str) -> Properties:
    """Return what nobody knows before it is made."""
    return {"arn": UNKNOWN, **dict.fromkeys(_MADE_BY_AWS.get(kind, {}), UNKNOWN)}


def _changes(olds: struct_pb2.Struct, news: struct_pb2.Struct) -> Any:
    same = provider_pb2.DiffResponse.DIFF_NONE
    return same if olds == news else provider_pb2.DiffResponse.DIFF_SOME


def _put(news: Properties, path: list[str], olds: Properties) -> None:
    """Set a property of the new ones to what it was."""
    *folders, last = path
    for folder in folders:
        news, olds = news.get(folder, {}), olds.get(folder, {})
    if last in olds:
        news[last] = olds[last]


def _plain(properties: struct_pb2.Struct) -> Properties:
    return json_format.MessageToDict(properties)


def _struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct
