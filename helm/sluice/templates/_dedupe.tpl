{{/* The margin that dispatcher and status-watcher have to agree on. */}}

{{- define "sluice.dedupeEnv" -}}
{{- $d := .root.Values.dedupe -}}
{{- /* etcd's share is APPLY_SLACK of libs/runtime's dedupe.py; the services refuse the same. */ -}}
{{- $least := add (mul 2 (add $d.ledgerFreshnessSeconds $d.createTimeoutSeconds)) 10 -}}
{{- if lt (int $d.releaseAfterSeconds) (int $least) -}}
{{- fail (printf "dedupe.releaseAfterSeconds: at least 2 * (ledgerFreshnessSeconds + createTimeoutSeconds) + 10, which is %d, or a create that lands late starts a run twice" (int $least)) -}}
{{- end -}}
- {name: SLUICE_DEDUPE__LEDGER_FRESHNESS, value: {{ printf "%vs" $d.ledgerFreshnessSeconds | quote }}}
- {name: SLUICE_DEDUPE__CREATE_TIMEOUT, value: {{ printf "%vs" $d.createTimeoutSeconds | quote }}}
- {name: SLUICE_DEDUPE__RELEASE_AFTER, value: {{ printf "%vs" $d.releaseAfterSeconds | quote }}}
{{- end -}}
