{{/* How the services reach Kafka, and what they show it: a password, a token or a certificate. */}}

{{- /* How a service says who it is: none, password, token or aws. */ -}}
{{- define "sluice.kafkaLogin" -}}
{{- $kafka := .Values.kafka -}}
{{- if not (hasPrefix "SASL" $kafka.securityProtocol) -}}
none
{{- else if ne $kafka.sasl.mechanism "OAUTHBEARER" -}}
password
{{- else -}}
{{- ternary "aws" "token" (ne $kafka.sasl.awsRegion "") -}}
{{- end -}}
{{- end -}}

{{- /*
Where a policy lets services find Kafka, as a list of peers: what was named; else the brokers' pods, if every bootstrap
server is a Service as Strimzi calls them, NAME-kafka-bootstrap[.NAMESPACE[.svc…]]; else [], which is anywhere.
*/ -}}
{{- define "sluice.kafkaPeers" -}}
{{- $peers := .Values.networkPolicy.kafkaTo -}}
{{- if not $peers -}}
{{- $known := true -}}
{{- range splitList "," .Values.kafka.bootstrapServers -}}
{{- $host := splitList ":" . | first | splitList "." -}}
{{- $ofCluster := or (le (len $host) 2) (eq (index $host 2) "svc") -}}
{{- if and $ofCluster (first $host | hasSuffix "-kafka-bootstrap") -}}
{{- $peers = append $peers (dict
  "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" (index (append $host $.Release.Namespace) 1)))
  "podSelector" (dict "matchLabels" (dict
    "strimzi.io/cluster" (first $host | trimSuffix "-kafka-bootstrap") "strimzi.io/kind" "Kafka"))) | uniq -}}
{{- else -}}
{{- $known = false -}}
{{- end -}}
{{- end -}}
{{- $peers = ternary $peers list $known -}}
{{- end -}}
{{- toYaml $peers -}}
{{- end -}}

{{- define "sluice.kafkaTls" -}}
{{- ternary "yes" "" (has .Values.kafka.securityProtocol (list "SSL" "SASL_SSL")) -}}
{{- end -}}

{{- /* The Secret of the certificate that a service shows, if any: (dict "root" $ "s" service), as YAML. */ -}}
{{- define "sluice.kafkaCertificate" -}}
{{- $tls := .root.Values.kafka.tls -}}
{{- if and .s.kafkaUser (eq .root.Values.kafka.securityProtocol "SSL") -}}
{{- /* As Strimzi makes it for a KafkaUser with `tls` authentication. */ -}}
{{- dict "secret" .s.kafkaUser "cert" "user.crt" "key" "user.key" | toYaml -}}
{{- else if $tls.clientSecret -}}
{{- dict "secret" $tls.clientSecret "cert" $tls.certKey "key" $tls.keyKey | toYaml -}}
{{- end -}}
{{- end -}}

{{- /* What no schema says in words that help: (dict "root" $ "s" service). */ -}}
{{- define "sluice.kafkaChecks" -}}
{{- $kafka := .root.Values.kafka -}}
{{- $login := include "sluice.kafkaLogin" .root -}}
{{- $sources := compact (list $kafka.sasl.token.audience $kafka.sasl.awsRegion) | len -}}
{{- if has $login (list "token" "aws") -}}
{{- if ne $sources 1 -}}
{{- fail "kafka.sasl: OAUTHBEARER needs token.audience, for a ServiceAccount's token, or awsRegion, for Amazon MSK, and not both" -}}
{{- end -}}
{{- if .s.kafkaUser -}}
{{- fail "kafkaUser: with OAUTHBEARER a service is its own account, and no KafkaUser" -}}
{{- end -}}
{{- if and (eq $login "aws") (ne $kafka.securityProtocol "SASL_SSL") -}}
{{- fail "kafka.sasl.awsRegion: Amazon MSK takes IAM by SASL_SSL alone" -}}
{{- end -}}
{{- else if $sources -}}
{{- fail "kafka.sasl: token.audience and awsRegion are for the SASL protocols with OAUTHBEARER" -}}
{{- end -}}
{{- if and $kafka.tls.clientSecret (not (include "sluice.kafkaTls" .root)) -}}
{{- fail "kafka.tls.clientSecret: a certificate is shown by SSL and SASL_SSL alone" -}}
{{- end -}}
{{- end -}}

{{- /* Whether a service signs records, or checks that they are signed: (dict "root" $ "s" service). */ -}}
{{- define "sluice.kafkaSigns" -}}
{{- if and .root.Values.kafka.signingKeys.existingSecret (has .s.name (list "gateway" "dispatcher")) }}yes{{ end -}}
{{- end -}}

{{- /* The environment variables about Kafka: (dict "root" $ "s" service). */ -}}
{{- define "sluice.kafkaEnv" -}}
{{- include "sluice.kafkaChecks" . -}}
{{- $kafka := .root.Values.kafka -}}
{{- $login := include "sluice.kafkaLogin" .root -}}
- {name: SLUICE_KAFKA__BOOTSTRAP_SERVERS, value: {{ $kafka.bootstrapServers | quote }}}
{{- range $topic, $name := $kafka.topics }}
- {name: SLUICE_KAFKA__TOPICS__{{ upper $topic }}, value: {{ $name | quote }}}
{{- end }}
{{- with $kafka.doors }}
- {name: SLUICE_KAFKA__DOORS, value: {{ toJson . | quote }}}
{{- end }}
{{- if include "sluice.kafkaSigns" . }}
- {name: SLUICE_KAFKA__SIGNING_KEYS_FILE, value: /etc/sluice/kafka/signing-keys.yaml}
{{- end }}
- {name: SLUICE_KAFKA__PARTITIONS, value: {{ $kafka.partitions | quote }}}
- {name: SLUICE_KAFKA__REPLICATION_FACTOR, value: {{ $kafka.replicationFactor | quote }}}
- {name: SLUICE_KAFKA__SECURITY_PROTOCOL, value: {{ $kafka.securityProtocol }}}
{{- if ne $login "none" }}
- {name: SLUICE_KAFKA__SASL_MECHANISM, value: {{ $kafka.sasl.mechanism }}}
{{- end }}
{{- if eq $login "aws" }}
- {name: SLUICE_KAFKA__AWS_REGION, value: {{ quote $kafka.sasl.awsRegion }}}
{{- else if eq $login "token" }}
- {name: SLUICE_KAFKA__TOKEN_FILE, value: /etc/sluice/kafka/token}
{{- else if and (eq $login "password") .s.kafkaUser }}
- {name: SLUICE_KAFKA__USERNAME, value: {{ quote .s.kafkaUser }}}
- name: SLUICE_KAFKA__PASSWORD
  valueFrom: {secretKeyRef: {name: {{ quote .s.kafkaUser }}, key: password}}
{{- else if eq $login "password" }}
{{- range $variable := list "username" "password" }}
- name: SLUICE_KAFKA__{{ upper $variable }}
  valueFrom: {secretKeyRef: {name: {{ quote $kafka.sasl.existingSecret }}, key: {{ get $kafka.sasl (printf "%sKey" $variable) | quote }}}}
{{- end }}
{{- end }}
{{- if $kafka.tls.caSecret }}
- {name: SLUICE_KAFKA__CA_FILE, value: /etc/sluice/kafka/ca.crt}
{{- end }}
{{- if include "sluice.kafkaCertificate" . }}
- {name: SLUICE_KAFKA__CERTIFICATE_FILE, value: /etc/sluice/kafka/tls.crt}
- {name: SLUICE_KAFKA__KEY_FILE, value: /etc/sluice/kafka/tls.key}
{{- end }}
{{- end -}}

{{- /* The files that these variables name, as sources of a projected volume; the kubelet renews them all. */ -}}
{{- define "sluice.kafkaFiles" -}}
{{- if not .s.withoutKafka -}}
{{- $kafka := .root.Values.kafka -}}
{{- if $kafka.tls.caSecret }}
- secret: {name: {{ quote $kafka.tls.caSecret }}, items: [{key: {{ quote $kafka.tls.caKey }}, path: ca.crt}]}
{{- end }}
{{- if include "sluice.kafkaSigns" . }}
{{- with $kafka.signingKeys }}
- secret: {name: {{ quote .existingSecret }}, items: [{key: {{ quote .key }}, path: signing-keys.yaml}]}
{{- end }}
{{- end }}
{{- with include "sluice.kafkaCertificate" . | fromYaml }}
{{- if .secret }}
- secret:
    name: {{ quote .secret }}
    items: [{key: {{ quote .cert }}, path: tls.crt}, {key: {{ quote .key }}, path: tls.key}]
{{- end }}
{{- end }}
{{- if eq (include "sluice.kafkaLogin" .root) "token" }}
- serviceAccountToken: {path: token, audience: {{ quote $kafka.sasl.token.audience }}, expirationSeconds: {{ $kafka.sasl.token.expirationSeconds }}}
{{- end }}
{{- end -}}
{{- end -}}
