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
