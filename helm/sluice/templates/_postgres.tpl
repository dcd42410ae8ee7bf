{{/* How the gateways reach PostgreSQL, if that is where they keep their view. */}}

{{- /* What no schema says in words that help. */ -}}
{{- define "sluice.postgresChecks" -}}
{{- $postgres := .Values.store.postgres -}}
{{- if not $postgres.host -}}
{{- fail "store.postgres.host: store.kind postgres needs the server of the database" -}}
{{- end -}}
{{- if ne (compact (list $postgres.existingSecret $postgres.awsRegion) | len) 1 -}}
{{- fail "store.postgres: needs existingSecret, with the password, or awsRegion, for Amazon RDS with IAM, and not both" -}}
{{- end -}}
{{- if and $postgres.awsRegion (eq $postgres.tls "disable") -}}
{{- fail "store.postgres.awsRegion: Amazon RDS takes IAM over TLS alone" -}}
{{- end -}}
{{- if and $postgres.ca $postgres.caSecret -}}
{{- fail "store.postgres: ca and caSecret are two ways to give the same; set one of them" -}}
{{- end -}}
{{- if and $postgres.externalSecret.enabled (not $postgres.existingSecret) -}}
{{- fail "store.postgres.externalSecret: existingSecret names the Secret that it creates; set it" -}}
{{- end -}}
{{- end -}}

{{- /* The environment variables about the store. */ -}}
{{- define "sluice.storeEnv" -}}
{{- $store := .Values.store -}}
- {name: SLUICE_STORE__HISTORY, value: {{ quote $store.history }}}
{{- if eq $store.kind "postgres" }}
{{- include "sluice.postgresChecks" . }}
{{- $postgres := $store.postgres }}
- {name: SLUICE_STORE__KIND, value: postgres}
- {name: SLUICE_STORE__GROUP, value: {{ quote $store.consumerGroup }}}
- {name: SLUICE_STORE__POSTGRES__HOST, value: {{ quote $postgres.host }}}
- {name: SLUICE_STORE__POSTGRES__PORT, value: {{ quote $postgres.port }}}
- {name: SLUICE_STORE__POSTGRES__DATABASE, value: {{ quote $postgres.database }}}
- {name: SLUICE_STORE__POSTGRES__USERNAME, value: {{ quote $postgres.username }}}
- {name: SLUICE_STORE__POSTGRES__TLS, value: {{ quote $postgres.tls }}}
{{- if $postgres.awsRegion }}
- {name: SLUICE_STORE__POSTGRES__AWS_REGION, value: {{ quote $postgres.awsRegion }}}
{{- else }}
- {name: SLUICE_STORE__POSTGRES__PASSWORD_FILE, value: /etc/sluice/postgres/password}
{{- end }}
{{- if $postgres.caSecret }}
- {name: SLUICE_STORE__POSTGRES__CA_FILE, value: /etc/sluice/postgres/ca.crt}
{{- else if $postgres.ca }}
- {name: SLUICE_STORE__POSTGRES__CA_FILE, value: /etc/sluice/config/postgres-ca.crt}
{{- end }}
{{- end }}
{{- end -}}

{{- /* The files that these variables name, as sources of a projected volume: (dict "root" $ "s" service). */ -}}
{{- define "sluice.postgresFiles" -}}
{{- $postgres := .root.Values.store.postgres -}}
{{- if and (eq .s.name "gateway") (eq .root.Values.store.kind "postgres") }}
{{- if $postgres.existingSecret }}
- secret: {name: {{ quote $postgres.existingSecret }}, items: [{key: {{ quote $postgres.passwordKey }}, path: password}]}
{{- end }}
{{- if $postgres.caSecret }}
- secret: {name: {{ quote $postgres.caSecret }}, items: [{key: {{ quote $postgres.caKey }}, path: ca.crt}]}
{{- end }}
{{- end }}
{{- end -}}
