"""Values that make no sense, by chart, and what Helm says of each."""

from tests.charts.rendering import CHART, KAFKA, WORKFLOWS

_SLUICE = {
    "unknown: 1": "at '': additional properties 'unknown' not allowed",
    "image: {tag: latest}": "at '/image/tag': 'not' failed",
    "image: {tag: 1.0}": "at '/image/tag': got number, want string",
    "image: {digests: {gateway: abc}}": "at '/image/digests/gateway'",
    "image: {digests: {status-watcher: ''}}": "additional properties 'status-watcher' not allowed",
    "imagePolicy: {allowed: ['https://a.example.com/']}": "at '/imagePolicy/allowed/0'",
    "image: {pullPolicy: Sometimes}": "at '/image/pullPolicy'",
    "imagePullSecrets: [regcred]": "at '/imagePullSecrets/0': got string, want object",
    "kafka: {bootstrapServers: ''}": "at '/kafka/bootstrapServers'",
    "kafka: {bootstrapServers: kafka}": "at '/kafka/bootstrapServers'",
    "kafka: {securityProtocol: TLS}": "at '/kafka/securityProtocol'",
    "kafka: {securityProtocol: SASL_SSL}": "at '/kafka/sasl/existingSecret': minLength",
    "kafka: {sasl: {mechanism: GSSAPI}}": "at '/kafka/sasl/mechanism'",
    "kafka: {sasl: {awsRegion: eu-central-1/x}}": "at '/kafka/sasl/awsRegion'",
    "kafka: {sasl: {token: {expirationSeconds: 60}}}": (
        "at '/kafka/sasl/token/expirationSeconds': minimum"
    ),
    "kafka: {topics: {request: a}}": "at '/kafka/topics': additional properties 'request'",
    "kafka: {topics: {status: a b}}": "at '/kafka/topics/status'",
    "kafka: {doors: [{name: acme}]}": "at '/kafka/doors/0': missing property 'tenants'",
    "kafka: {doors: [{name: acme, tenants: [Acme]}]}": "at '/kafka/doors/0/tenants/0'",
    "kafka: {doors: [{name: acme, tenants: [], weight: 1}]}": "additional properties 'weight'",
    "kafka: {partitions: 0}": "at '/kafka/partitions': minimum",
    "kafka: {replicationFactor: '3'}": "at '/kafka/replicationFactor': got string, want integer",
    "store: {kind: mysql}": "at '/store/kind'",
    "store: {history: 30}": "at '/store/history': got number, want string",
    "store: {postgres: {port: 0}}": "at '/store/postgres/port': minimum",
    "store: {postgres: {awsRegion: eu/x}}": "at '/store/postgres/awsRegion'",
    "store: {kind: postgres}": "store.postgres.host: store.kind postgres needs the server",
    "store: {kind: postgres, postgres: {host: db}}": "store.postgres: needs existingSecret",
    "store: {kind: postgres, postgres: {host: db, existingSecret: a, awsRegion: eu-central-1}}": (
        "store.postgres: needs existingSecret"
    ),
    "store: {kind: postgres, postgres: {host: db, awsRegion: eu-central-1, tls: disable}}": (
        "store.postgres.awsRegion: Amazon RDS takes IAM over TLS alone"
    ),
    "store: {kind: postgres, postgres: {host: db, awsRegion: a, caSecret: b, "
    "ca: '-----BEGIN CERTIFICATE-----'}}": "store.postgres: ca and caSecret are two ways",
    "store: {postgres: {ca: authority.pem}}": "at '/store/postgres/ca'",
    "store: {kind: postgres, postgres: {host: db, awsRegion: a, externalSecret: {enabled: true, "
    "remoteKey: b, secretStoreRef: {name: c}}}}": (
        "store.postgres.externalSecret: existingSecret names the Secret"
    ),
    "store: {postgres: {externalSecret: {enabled: true}}}": (
        "at '/store/postgres/externalSecret/remoteKey': minLength"
    ),
    "workflows: {namespace: Argo}": "at '/workflows/namespace'",
    "workflows: {tenants: {Acme: {namespace: acme-runs}}}": "'Acme' does not match pattern",
    "workflows: {tenants: {acme: {}}}": "at '/workflows/tenants/acme': missing property",
    "workflows: {tenants: {acme: {namespace: acme-runs, moved_from: [argo]}}}": (
        "at '/workflows/tenants/acme': additional properties"
    ),
    # No schema can compare two values.
    "workflows: {tenants: {acme: {namespace: argo, movedFrom: [argo]}}}": (
        "workflows.tenants.acme.movedFrom: argo is the namespace of the tenant itself. Leave it out"
    ),
    "workflows: {ttl: 3600}": "at '/workflows/ttl': got number, want string",
    "workflows: {executor: {name: 'it''s'}}": "at '/workflows/executor/name'",
    "workflows: {catalogue: {entries: [{name: a, description: b}]}}": (
        "at '/workflows/catalogue/entries/0': missing property 'template'"
    ),
    "workflows: {catalogue: {entries: [{name: a, description: b, template: {name: c}, "
    "parameters: [{name: d, type: date}]}]}}": (
        "at '/workflows/catalogue/entries/0/parameters/0/type'"
    ),
    "dedupe: {releaseAfterSeconds: 49}": "dedupe.releaseAfterSeconds: at least",
    "dedupe: {createTimeoutSeconds: 21}": "+ 10, which is 62",
    "dedupe: {releaseAfterSeconds: 60s}": "at '/dedupe/releaseAfterSeconds': got string",
    "gateway: {allowedHosts: ['runs.example.com:443']}": "at '/gateway/allowedHosts/0'",
    "defaults: {replicas: 2}": "at '/defaults/replicas': false schema",
    "defaults: {resources: {requests: {cpu: null}}}": (
        "at '/defaults/resources/requests': missing property 'cpu'"
    ),
    "defaults: {shutdownGraceSeconds: 0}": "at '/defaults/shutdownGraceSeconds': minimum",
    "defaults: {probes: {liveness: {httpGet: {}}}}": (
        "at '/defaults/probes/liveness': additional properties 'httpGet'"
    ),
    "defaults: {nodeSelector: {gpu: true}}": "at '/defaults/nodeSelector/gpu'",
    "gateway: {replicas: two}": "at '/gateway/replicas': got string, want integer",
    "gateway: {image: {digest: abc}}": "at '/gateway/image/digest'",
    "gateway: {keda: {enabled: true}}": "at '/gateway/keda': false schema",
    "gateway: {persistence: {size: big}}": "at '/gateway/persistence/size'",
    "gateway: {service: {port: 70000}}": "at '/gateway/service/port': maximum",
    "gateway: {httpRoute: {enabled: true}}": "at '/gateway/httpRoute/parentRefs': minItems",
    "gateway: {ingress: {enabled: true}, httpRoute: {enabled: true, parentRefs: [{name: a}]}}": (
        "at '/gateway': 'not' failed"
    ),
    "gateway: {podDisruptionBudget: {create: true}}": "at '/gateway/podDisruptionBudget/create'",
    "dispatcher: {keda: {minReplicaCount: 0}}": "at '/dispatcher/keda/minReplicaCount': minimum",
    "dispatcher: {extraEnv: [{value: a}]}": "at '/dispatcher/extraEnv/0': missing property 'name'",
    "statusWatcher: {persistence: {enabled: true}}": "at '/statusWatcher/persistence'",
    "networkPolicy: {apiServerPorts: []}": "at '/networkPolicy/apiServerPorts': minItems",
    "networkPolicy: {kafkaPorts: [kafka]}": "at '/networkPolicy/kafkaPorts/0'",
    "externalSecret: {enabled: true, remoteKey: a, secretStoreRef: {name: b}}": (
        "at '/kafka/sasl/existingSecret': minLength"
    ),
    "monitoring: {serviceMonitor: {interval: often}}": "at '/monitoring/serviceMonitor/interval'",
    "gateway: {auth: {mode: optional}}": "at '/gateway/auth/mode'",
    "gateway: {auth: {keysSecret: ''}}": (
        "gateway.auth.keysSecret: name a Secret with the file of API keys (docs/security.md), or "
        "issuers or signIn.issuer (docs/oidc.md), or let any client that reaches the gateway do "
        "everything, by gateway.auth.mode: none"
    ),
    "gateway: {auth: {watchLinks: {enabled: true}}}": "gateway.auth.keyRingSecret: signIn and",
    "gateway: {auth: {keyRingSecret: a, signIn: {issuer: 'https://a'}}}": (
        "gateway.auth.signIn: clientId, clientSecret and publicOrigin must be given with issuer"
    ),
    "gateway: {auth: {signIn: {scopes: [email]}}}": "at '/gateway/auth/signIn/scopes'",
    "gateway: {auth: {signIn: {publicOrigin: 'https://a/'}}}": (
        "at '/gateway/auth/signIn/publicOrigin'"
    ),
    "gateway: {auth: {issuers: [{issuer: a, audience: b}]}}": "missing property 'kind'",
    "gateway: {auth: {issuers: [{issuer: a, audience: b, kind: users, algorithms: [HS256]}]}}": (
        "at '/gateway/auth/issuers/0/algorithms/0'"
    ),
    "gateway: {auth: {jwks: {keys: a}}}": "'keys' does not match pattern",
    "gateway: {corsOrigins: ['*']}": "at '/gateway/corsOrigins/0'",
    "{gateway: {auth: {issuers: [{issuer: a, audience: b, kind: kubernetes}]}}, "
    "networkPolicy: {issuersPorts: [80]}}": "networkPolicy.issuersPorts: port 80 of any address",
    "gateway: {auth: {grants: []}}": "gateway.auth.grants: without grants no client may",
    "gateway: {auth: {mode: none}}": "gateway.auth.mode: with none any client may do everything",
    "gateway: {auth: {grants: [{tenants: [a], workflows: [b], scopes: [admin]}]}}": (
        "at '/gateway/auth/grants/0': 'anyOf' failed"
    ),
    "gateway: {auth: {grants: [{principals: [ci], tenants: [a], workflows: [b], "
    "scopes: [admin]}]}}": "at '/gateway/auth/grants/0/principals/0'",
    "gateway: {auth: {grants: [{claims: {sub: a}, tenants: [a], workflows: [b], "
    "scopes: [admin]}]}}": "at '/gateway/auth/grants/0/claims': missing property 'iss'",
    "gateway: {auth: {grants: [{principals: ['user:a'], tenants: [A], workflows: [b], "
    "scopes: [admin]}]}}": "at '/gateway/auth/grants/0/tenants/0'",
    "gateway: {auth: {grants: [{principals: ['user:a'], tenants: [a], workflows: [b], "
    "scopes: ['*']}]}}": "at '/gateway/auth/grants/0/scopes/0'",
    "smokeTest: {timeoutSeconds: 5m}": "at '/smokeTest/timeoutSeconds': got string, want integer",
    "extraObjects: [{kind: ConfigMap}]": "at '/extraObjects/0': missing properties",
    # No schema can compare two values.
    "admissionPolicy: {enabled: false}": (
        "workflows.releaseEverywhere: the right to patch Workflows in all namespaces is safe only "
        "while admissionPolicy.enabled holds the status-watcher to its own marks. Turn that on, or "
        "workflows.releaseEverywhere off"
    ),
    "networkPolicy: {apiServerPorts: [443, 80]}": (
        "networkPolicy.apiServerPorts: port 80 of any address would reach the cloud's metadata "
        "service; say in apiServerTo where the API server is"
    ),
    "kafka: {bootstrapServers: 'kafka:80'}": (
        "networkPolicy.kafkaPorts: port 80 of any address would reach the cloud's metadata "
        "service; say in kafkaTo where Kafka is"
    ),
    "dispatcher: {keda: {enabled: true, maxReplicaCount: 7}}": "more than kafka.partitions",
    "kafka: {securityProtocol: SASL_SSL, sasl: {mechanism: OAUTHBEARER}}": (
        "kafka.sasl: OAUTHBEARER needs token.audience, for a ServiceAccount's token, or awsRegion"
    ),
    "kafka: {securityProtocol: SASL_SSL, sasl: {mechanism: OAUTHBEARER, awsRegion: eu-central-1, "
    "token: {audience: kafka}}}": "and not both",
    "kafka: {securityProtocol: SASL_PLAINTEXT, sasl: {mechanism: OAUTHBEARER, "
    "awsRegion: eu-central-1}}": "Amazon MSK takes IAM by SASL_SSL alone",
    "kafka: {sasl: {mechanism: OAUTHBEARER, awsRegion: eu-central-1}}": (
        "token.audience and awsRegion are for the SASL protocols with OAUTHBEARER"
    ),
    "kafka: {sasl: {token: {audience: kafka}}}": (
        "token.audience and awsRegion are for the SASL protocols with OAUTHBEARER"
    ),
    "{kafka: {securityProtocol: SASL_SSL, sasl: {mechanism: OAUTHBEARER, token: {audience: a}}}, "
    "defaults: {kafkaUser: sluice}}": "with OAUTHBEARER a service is its own account",
    "{kafka: {securityProtocol: SASL_SSL, sasl: {mechanism: OAUTHBEARER, token: {audience: a}}}, "
    "dispatcher: {keda: {enabled: true}}}": "KEDA cannot show a ServiceAccount's token",
    "kafka: {tls: {clientSecret: a}}": "a certificate is shown by SSL and SASL_SSL alone",
    "gateway: {kafkaUser: Sluice_Gateway}": "at '/gateway/kafkaUser'",
    "{kafka: {securityProtocol: SASL_SSL}, gateway: {kafkaUser: a}, dispatcher: {kafkaUser: a}}": (
        "at '/statusWatcher': missing property 'kafkaUser'"
    ),
}

_KAFKA = {
    "unknown: 1": "at '': additional properties 'unknown' not allowed",
    "cluster: Sluice": "at '/cluster'",
    "kafka: {version: latest}": "at '/kafka/version'",
    "kafka: {config: {num.io.threads: [8]}}": "at '/kafka/config/num.io.threads'",
    "brokers: {replicas: 0}": "at '/brokers/replicas': minimum",
    "brokers: {storage: {size: big}}": "at '/brokers/storage/size'",
    "brokers: {storage: {deleteClaim: true}}": "additional properties 'deleteClaim'",
    "brokers: {resources: {requests: {cpu: null}}}": "missing property 'cpu'",
    "controllers: {replicas: 2}": "at '/controllers/replicas': value must be one of",
    "listeners: {internal: {authentication: none}}": "at '/listeners/internal/authentication'",
    "listeners: {plain: {enabled: true}}": "at '': 'not' failed",
    "listeners: {external: {enabled: true, type: LoadBalancer}}": "at '/listeners/external/type'",
    "topics: {partitions: 0}": "at '/topics/partitions': minimum",
    "topics: {requests: {name: Sluice_Requests}}": "at '/topics/requests/name'",
    "topics: {requests: {retentionMs: 1}}": "additional properties 'retentionMs'",
    "clients: [{name: billing}]": "at '/clients/0': 'anyOf' failed",
    "clients: [{name: billing, submits: true, group: a}]": "additional properties 'group'",
    "clientQuotas: {producerByteRate: 1M}": "at '/clientQuotas/producerByteRate'",
    "monitoring: {podMonitor: {interval: often}}": "at '/monitoring/podMonitor/interval'",
    # No schema can compare two values.
    "topics: {results: {retentionHours: 24}}": "outcomes must be kept longer than requests",
    "topics: {dlq: {name: sluice.requests}}": "two topics have one name",
    "doors: [{name: dlq, tenants: [a]}]": "two topics have one name",
    "doors: [{name: acme, tenants: [a]}, {name: acme, tenants: [b]}]": "two topics have one name",
    "doors: [{name: acme}]": "at '/doors/0': missing property 'tenants'",
    "clients: [{name: acme, door: acme, submits: true}]": (
        'clients.0.door: there is no door "acme"'
    ),
    "{doors: [{name: a, tenants: [a]}], clients: [{name: a, door: a, submits: true}, "
    "{name: a-b, submits: true}]}": 'clients.0.name: the groups of "a" begin as those of "a-b"',
    "clients: [{name: disp, subscribes: true}]": (
        'the groups of "disp" begin with "sluice-disp", and so does "sluice-dispatcher"'
    ),
}

_WORKFLOWS = {
    "unknown: 1": "at '': additional properties 'unknown' not allowed",
    "namespaces: {names: []}": "at '/namespaces/names': minItems",
    "namespaces: {names: [argo, argo]}": "at '/namespaces/names': items at",
    "namespaces: {names: [Argo]}": "at '/namespaces/names/0'",
    "namespaces: {podSecurity: none}": "at '/namespaces/podSecurity'",
    "executor: {name: 'it''s'}": "at '/executor/name'",
    "artifacts: {s3: {bucket: My_Bucket}}": "at '/artifacts/s3/bucket'",
    "artifacts: {s3: {endpoint: 'https://s3.amazonaws.com'}}": "at '/artifacts/s3/endpoint'",
    "artifacts: {gcs: {}}": "at '/artifacts': additional properties 'gcs'",
    "quota: {hard: {pods: many}}": "at '/quota/hard/pods'",
    "limitRange: {default: {memory: 512MB}}": "at '/limitRange/default/memory'",
    "networkPolicy: {apiServerPorts: []}": "at '/networkPolicy/apiServerPorts': minItems",
    "networkPolicy: {egress: [everything]}": "at '/networkPolicy/egress/0'",
}

REFUSED = {CHART: _SLUICE, KAFKA: _KAFKA, WORKFLOWS: _WORKFLOWS}
