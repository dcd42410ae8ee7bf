{{/* A Role or ClusterRole of the rules in a file, and its binding to one account. */}}

{{- define "sluice.grant" }}
{{- $metadata := dict "name" .name "labels" .labels }}
{{- with .namespace }}{{ $_ := set $metadata "namespace" . }}{{ end }}
{{- with .annotations }}{{ $_ := set $metadata "annotations" . }}{{ end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata: {{- toYaml $metadata | nindent 2 }}
rules: {{- include "sluice.rules" (dict "root" .root "name" .rules "only" .only) | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata: {{- toYaml $metadata | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ .kind }}, name: {{ quote .name }}}
subjects:
  - {kind: ServiceAccount, name: {{ quote .account }}, namespace: {{ .accountNamespace | quote }}}
{{- end -}}
