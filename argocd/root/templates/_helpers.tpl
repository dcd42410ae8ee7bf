{{- /* The generator of the environment's clusters, with what an ApplicationSet's template has to know. */ -}}
{{- define "root.clusters" -}}
selector: {matchLabels: {sluice.dev/environment: {{ .Values.environment | quote }}}}
values:
  environment: {{ .Values.environment | quote }}
  repoURL: {{ .Values.repoURL | quote }}
  revision: {{ .Values.revision | quote }}
  sluiceNamespace: {{ .Values.namespaces.sluice | quote }}
  workflowsNamespace: {{ .Values.namespaces.workflows | quote }}
  tenants: {{ toJson .Values.namespaces.tenants | quote }}
{{- end -}}

{{- /* Namespaces of Workflows other than the default one: a YAML array. */ -}}
{{- define "root.tenantNamespaces" -}}
{{- $names := list -}}
{{- range .Values.namespaces.tenants -}}
{{- $names = concat $names (list .namespace) (default list .movedFrom) -}}
{{- end -}}
{{- without (uniq $names) .Values.namespaces.workflows | toYaml -}}
{{- end -}}

{{- /* The parts of the platform that are on, by name. */ -}}
{{- define "root.parts" -}}
{{- $parts := dict -}}
{{- range $name, $part := .Files.Get "files/parts.yaml" | fromYaml -}}
{{- $wanted := get $.Values.platform $name -}}
{{- if $wanted.enabled -}}
{{- $_ := set $parts $name (merge (dict "name" $name "version" $wanted.version) $part) -}}
{{- end -}}
{{- end -}}
{{- toYaml $parts -}}
{{- end -}}
