{{- define "sluice-workflows.labels" -}}
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

{{- /* The metadata of an object: (dict "root" $ "name" … "namespace" …). */ -}}
{{- define "sluice-workflows.metadata" -}}
name: {{ quote .name }}
namespace: {{ quote .namespace }}
labels: {{- include "sluice-workflows.labels" .root | nindent 2 }}
{{- end -}}
