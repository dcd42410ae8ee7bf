{{- /* The namespaces that have Workflows, the default one first: a YAML array. */ -}}
{{- define "sluice.namespaces" -}}
{{- $all := list .Values.workflows.namespace -}}
{{- range $tenant, $place := .Values.workflows.tenants -}}
{{- $all = concat $all (list $place.namespace) (default list $place.movedFrom) -}}
{{- end -}}
{{- $all | uniq | toYaml -}}
{{- end -}}

{{- /* Which namespace is whose, as dispatcher, status-watcher and drain read it. */ -}}
{{- define "sluice.namespacesEnv" -}}
- {name: SLUICE_KUBERNETES__NAMESPACE, value: {{ .Values.workflows.namespace | quote }}}
{{- $tenants := dict }}
{{- range $tenant, $place := .Values.workflows.tenants }}
{{- if has $place.namespace $place.movedFrom }}
{{- fail (printf "workflows.tenants.%s.movedFrom: %s is the namespace of the tenant itself. Leave it out" $tenant $place.namespace) }}
{{- end }}
{{- $_ := set $tenants $tenant (dict "namespace" $place.namespace "moved_from" (default list $place.movedFrom)) }}
{{- end }}
{{- with $tenants }}
- {name: SLUICE_KUBERNETES__TENANTS, value: {{ toJson . | quote }}}
{{- end }}
{{- end -}}

{{- /*
Where the dispatcher may have Workflows of the tenant that an object is labelled with, in CEL: new ones in the first
place, and in the others those from before.
*/ -}}
{{- define "sluice.placesOfTenant" -}}
{{- $default := list .Values.workflows.namespace | toJson | replace "\"" "'" -}}
{{- $places := list -}}
{{- range $tenant, $place := .Values.workflows.tenants -}}
{{- $own := concat (list $place.namespace) (default list $place.movedFrom) | toJson | replace "\"" "'" -}}
{{- $places = append $places (printf "'%s': %s" $tenant $own) -}}
{{- end -}}
{{- if $places -}}
{ {{- join ", " $places -}} }[?variables.labels[?'sluice.dev/tenant'].orValue('')].orValue({{ $default }})
{{- else -}}
{{ $default }}
{{- end -}}
{{- end -}}
