{{/* How the gateways know their clients, and what these may do. */}}

{{- /* What no schema says in words that help. */ -}}
{{- define "sluice.identityChecks" -}}
{{- $s := include "sluice.service" (dict "root" $ "name" "gateway") | fromYaml -}}
{{- $auth := $s.auth -}}
{{- if eq $auth.mode "required" -}}
{{- if not (or $auth.keysSecret (dig "auth" dict (default dict $s.settings))) -}}
{{- fail "gateway.auth.keysSecret: name a Secret with the file of API keys (docs/security.md), or let any client that reaches the gateway do everything, by gateway.auth.mode: none" -}}
{{- end -}}
{{- if not $auth.grants -}}
{{- fail "gateway.auth.grants: without grants no client may do anything; docs/security.md has examples" -}}
{{- end -}}
{{- else if or $auth.grants $auth.keysSecret -}}
{{- fail "gateway.auth.mode: with none any client may do everything, whatever grants and keysSecret say" -}}
{{- end -}}
{{- end -}}

{{- /* The environment variables about identities. */ -}}
{{- define "sluice.identityEnv" -}}
{{- include "sluice.identityChecks" . -}}
{{- $auth := .Values.gateway.auth -}}
- {name: SLUICE_AUTH__MODE, value: {{ $auth.mode }}}
{{- if eq $auth.mode "required" }}
- {name: SLUICE_AUTH__GRANTS_FILE, value: /etc/sluice/identity/grants.yaml}
{{- if $auth.keysSecret }}
- {name: SLUICE_AUTH__KEYS_FILE, value: /etc/sluice/identity/keys.yaml}
{{- end }}
{{- end }}
{{- end -}}

{{- /* The files that these variables name, as sources of a projected volume; the kubelet renews them all. */ -}}
{{- define "sluice.identityFiles" -}}
{{- if and (eq .s.name "gateway") (eq .s.auth.mode "required") }}
- configMap: {name: {{ printf "%s-grants" (include "sluice.fullname" .root) }}, items: [{key: grants.yaml, path: grants.yaml}]}
{{- with .s.auth.keysSecret }}
- secret: {name: {{ quote . }}, items: [{key: {{ quote $.s.auth.keysKey }}, path: keys.yaml}]}
{{- end }}
{{- end }}
{{- end -}}
