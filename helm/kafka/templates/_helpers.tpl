{{/* Labels, numbers, and how data is kept. */}}

{{- define "sluice-kafka.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: sluice
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Whose Kafka it is: Strimzi's operators go by this. */ -}}
{{- define "sluice-kafka.ofCluster" -}}
strimzi.io/cluster: {{ .Values.cluster | quote }}
{{ include "sluice-kafka.labels" . }}
{{- end -}}

{{- /* Data that is lost with this is lost permanently: neither Argo CD nor Helm may delete it. */ -}}
{{- define "sluice-kafka.kept" -}}
argocd.argoproj.io/sync-options: Prune=false,Delete=false
helm.sh/resource-policy: keep
{{- end -}}

{{- define "sluice-kafka.replicationFactor" -}}
{{- min 3 .Values.brokers.replicas -}}
{{- end -}}

{{- /* Of three replicas one may be away, of two as well; this is what Sluice's services ask for at their start. */ -}}
{{- define "sluice-kafka.inSync" -}}
{{- ternary 2 1 (ge (int .Values.brokers.replicas) 3) -}}
{{- end -}}

{{- /* Restricted, as Pod Security knows it, whichever standard the operator itself keeps to: its default is a lower one. */ -}}
{{- define "sluice-kafka.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
  capabilities: {drop: [ALL]}
{{- end -}}

{{- /* All topic sets: the default one, whose name is empty, and the doors; as YAML under `sets`. */ -}}
{{- define "sluice-kafka.sets" -}}
{{- $default := .Values.topics -}}
{{- $sets := list -}}
{{- range $door := prepend .Values.doors (dict "name" "") -}}
{{- $names := dict -}}
{{- range $topic := list "requests" "status" "results" "dlq" -}}
{{- $derived := get $default $topic | dig "name" "" -}}
{{- if $door.name }}{{ $derived = printf "%s.%s" $derived $door.name }}{{ end -}}
{{- $_ := set $names $topic (dig "topics" $topic $derived $door) -}}
{{- end -}}
{{- $sets = append $sets (dict "name" $door.name "topics" $names) -}}
{{- end -}}
{{- dict "sets" $sets | toYaml -}}
{{- end -}}

{{- /*
What no schema says of clients: each has an account of its own, and its groups, which begin with the account's name, are
no service's, nor another client's if one of the two is a tenant with a door.
*/ -}}
{{- define "sluice-kafka.clientChecks" -}}
{{- $cluster := .Values.cluster -}}
{{- $groups := list .Values.services.consumerGroup -}}
{{- if .Values.services.gatewayGroup }}{{ $groups = append $groups .Values.services.gatewayGroup }}{{ end -}}
{{- $doors := list -}}
{{- range .Values.doors }}{{ $doors = append $doors .name }}{{ end -}}
{{- range $number, $client := .Values.clients -}}
{{- $account := printf "%s-%s" $cluster $client.name -}}
{{- if and (dig "door" "" $client) (not (has $client.door $doors)) -}}
{{- fail (printf "clients.%d.door: there is no door %q" $number $client.door) -}}
{{- end -}}
{{- range $group := $groups -}}
{{- if hasPrefix $account $group -}}
{{- fail (printf "clients.%d.name: the groups of %q begin with %q, and so does %q of a service" $number $client.name $account $group) -}}
{{- end -}}
{{- end -}}
{{- range $other, $each := $.Values.clients -}}
{{- if and (ne $other $number) (or (dig "door" "" $client) (dig "door" "" $each)) (hasPrefix $client.name $each.name) -}}
{{- fail (printf "clients.%d.name: the groups of %q begin as those of %q, whose topics are others" $number $client.name $each.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
