{{/* How the gateways know their clients, and what these may do. */}}

{{- /* What no schema says in words that help. */ -}}
{{- define "sluice.identityChecks" -}}
{{- $s := include "sluice.service" (dict "root" $ "name" "gateway") | fromYaml -}}
{{- $auth := $s.auth -}}
{{- if eq $auth.mode "required" -}}
{{- if not (or $auth.keysSecret $auth.issuers $auth.signIn.issuer (dig "auth" dict (default dict $s.settings))) -}}
{{- fail "gateway.auth.keysSecret: name a Secret with the file of API keys (docs/security.md), or issuers or signIn.issuer (docs/oidc.md), or let any client that reaches the gateway do everything, by gateway.auth.mode: none" -}}
{{- end -}}
{{- if and (or $auth.signIn.issuer $auth.watchLinks.enabled) (not $auth.keyRingSecret) -}}
{{- fail "gateway.auth.keyRingSecret: signIn and watchLinks need a Secret with the gateway's own secrets: docs/oidc.md" -}}
{{- end -}}
{{- with $auth.signIn -}}
{{- if and .issuer (not (and .clientId .clientSecret .publicOrigin)) -}}
{{- fail "gateway.auth.signIn: clientId, clientSecret and publicOrigin must be given with issuer" -}}
{{- end -}}
{{- end -}}
{{- if not $auth.grants -}}
{{- fail "gateway.auth.grants: without grants no client may do anything; docs/security.md has examples" -}}
{{- end -}}
{{- else if or $auth.grants $auth.keysSecret $auth.issuers $auth.signIn.issuer $auth.watchLinks.enabled -}}
{{- fail "gateway.auth.mode: with none any client may do everything, whatever grants, keysSecret, issuers, signIn and watchLinks say" -}}
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
{{- if $auth.keyRingSecret }}
- {name: SLUICE_AUTH__KEY_RING_FILE, value: /etc/sluice/identity/key-ring.yaml}
{{- end }}
{{- with $auth.issuers }}
- {name: SLUICE_AUTH__OIDC__ISSUERS, value: {{ toJson . | quote }}}
{{- end }}
{{- with $auth.signIn }}
{{- if .issuer }}
- {name: SLUICE_AUTH__SIGN_IN__ISSUER, value: {{ quote .issuer }}}
- {name: SLUICE_AUTH__SIGN_IN__CLIENT_ID, value: {{ quote .clientId }}}
- {name: SLUICE_AUTH__SIGN_IN__CLIENT_SECRET_FILE, value: /etc/sluice/identity/client-secret}
- {name: SLUICE_AUTH__SIGN_IN__PUBLIC_ORIGIN, value: {{ quote .publicOrigin }}}
- {name: SLUICE_AUTH__SIGN_IN__SCOPES, value: {{ join "," .scopes | quote }}}
- {name: SLUICE_AUTH__SIGN_IN__USER_ID, value: {{ .userId }}}
- {name: SLUICE_AUTH__SIGN_IN__LIFETIME, value: {{ .lifetime }}}
{{- end }}
{{- end }}
{{- if $auth.watchLinks.enabled }}
- {name: SLUICE_AUTH__WATCH_LINKS__ENABLED, value: "true"}
- {name: SLUICE_AUTH__WATCH_LINKS__LIFETIME, value: {{ $auth.watchLinks.lifetime }}}
{{- end }}
{{- end }}
{{- with .Values.gateway.corsOrigins }}
- {name: SLUICE_HTTP__CORS_ORIGINS, value: {{ join "," . | quote }}}
{{- end }}
{{- end -}}

{{- /* The files that these variables name, as sources of a projected volume; the kubelet renews them all. */ -}}
{{- define "sluice.identityFiles" -}}
{{- if and (eq .s.name "gateway") (eq .s.auth.mode "required") }}
- configMap:
    name: {{ printf "%s-grants" (include "sluice.fullname" .root) }}
    items:
      - {key: grants.yaml, path: grants.yaml}
      {{- range $name, $_ := .s.auth.jwks }}
      - {key: {{ $name }}, path: {{ $name }}}
      {{- end }}
{{- with .s.auth.keysSecret }}
- secret: {name: {{ quote . }}, items: [{key: {{ quote $.s.auth.keysKey }}, path: keys.yaml}]}
{{- end }}
{{- with .s.auth.keyRingSecret }}
- secret: {name: {{ quote . }}, items: [{key: {{ quote $.s.auth.keyRingKey }}, path: key-ring.yaml}]}
{{- end }}
{{- with .s.auth.signIn }}
{{- if .issuer }}
- secret: {name: {{ quote .clientSecret }}, items: [{key: {{ quote .clientSecretKey }}, path: client-secret}]}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
