{{/* Pods: restricted as in the Pod Security Standards, and equal but for a service's settings. */}}

{{- define "sluice.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "sluice.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "sluice.probe" -}}
httpGet: {path: {{ .path }}, port: health}
{{ toYaml .how }}
{{- end -}}

{{- /* The files of a service, by their key in the release's ConfigMap. */ -}}
{{- define "sluice.files" -}}
{{- if .s.settings }}
{{ .s.name }}.yaml: {{ toYaml .s.settings | quote }}
{{- end }}
{{- if and .root.Values.workflows.catalogue.entries (has .s.name (list "gateway" "dispatcher")) }}
catalogue.yaml: {{ toYaml .root.Values.workflows.catalogue | quote }}
{{- end }}
{{- $store := .root.Values.store }}
{{- if and (eq .s.name "gateway") (eq $store.kind "postgres") $store.postgres.ca }}
postgres-ca.crt: {{ quote $store.postgres.ca }}
{{- end }}
{{- end -}}

{{- /* The environment variables of every service. Others keep the service's own default. */ -}}
{{- define "sluice.env" -}}
{{- $files := include "sluice.files" . | fromYaml -}}
- {name: SLUICE_HEALTH__HOST, value: "0.0.0.0"}
- {name: SLUICE_HEALTH__PORT, value: {{ .s.healthPort | quote }}}
- {name: SLUICE_SHUTDOWN_GRACE, value: {{ printf "%vs" .s.shutdownGraceSeconds | quote }}}
{{- if .s.persistence }}
- {name: SLUICE_DATA_DIR, value: /var/lib/sluice}
# SQLite sorts what is large in a file.
- {name: TMPDIR, value: /var/lib/sluice}
{{- end }}
{{- if not .s.withoutKafka }}
{{ include "sluice.kafkaEnv" . }}
{{- end }}
{{- if .s.settings }}
- {name: SLUICE_CONFIG, value: /etc/sluice/config/{{ .s.name }}.yaml}
{{- end }}
{{- if get $files "catalogue.yaml" }}
- {name: SLUICE_WORKFLOWS__CATALOGUE_FILE, value: /etc/sluice/config/catalogue.yaml}
{{- end }}
{{- if .s.usesApi }}
{{ include "sluice.namespacesEnv" .root }}
{{- if not .s.withoutKafka }}
{{ include "sluice.dedupeEnv" . }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* A service's pods: (dict "root" $ "s" service "env" further variables "ports" further ports). */ -}}
{{- define "sluice.podTemplate" -}}
{{- $files := include "sluice.files" . | fromYaml -}}
metadata:
  labels: {{- toYaml (merge (dict) .s.selector .s.podLabels) | nindent 4 }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ .s.name }}
    # What is read at the start only: a change has to make new pods.
    checksum/config: {{ toJson $files | sha256sum }}
    {{- with .s.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ quote .s.account }}
  automountServiceAccountToken: {{ .s.usesApi }}
  enableServiceLinks: false
  # What is in hand, what goes before, and closing.
  terminationGracePeriodSeconds: {{ add .s.preStopSeconds .s.shutdownGraceSeconds 10 }}
  securityContext: {{- include "sluice.podSecurity" . | nindent 4 }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .s.priorityClassName }}
  priorityClassName: {{ quote . }}
  {{- end }}
  {{- with .s.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .s.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .s.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- with .s.topologySpreadConstraints }}
    {{- toYaml . | nindent 4 }}
    {{- else }}
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector: {matchLabels: {{ toJson $.s.selector }}}
    {{- end }}
    {{- end }}
  containers:
    - name: {{ .s.name }}
      image: {{ include "sluice.image" (dict "root" .root "s" .s) | quote }}
      imagePullPolicy: {{ default .root.Values.image.pullPolicy .s.image.pullPolicy }}
      securityContext: {{- include "sluice.containerSecurity" . | nindent 8 }}
      ports:
        - {name: health, containerPort: {{ .s.healthPort }}}
        {{- with .ports }}
        {{- . | nindent 8 }}
        {{- end }}
      env:
        {{- include "sluice.env" . | nindent 8 }}
        {{- with .env }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with .s.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      resources: {{- toYaml .s.resources | nindent 8 }}
      startupProbe: {{- include "sluice.probe" (dict "path" "/livez" "how" .s.probes.startup) | nindent 8 }}
      livenessProbe: {{- include "sluice.probe" (dict "path" "/livez" "how" .s.probes.liveness) | nindent 8 }}
      readinessProbe: {{- include "sluice.probe" (dict "path" "/readyz" "how" .s.probes.readiness) | nindent 8 }}
      {{- with .s.preStopSeconds }}
      lifecycle: {preStop: {sleep: {seconds: {{ . }}}}}
      {{- end }}
      {{- with include "sluice.volumeMounts" . | trim }}
      volumeMounts: {{- . | nindent 8 }}
      {{- end }}
  {{- with include "sluice.volumes" . | trim }}
  volumes: {{- . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- /* Gateway and log-relay share a secret. */ -}}
{{- define "sluice.readsLogs" -}}
{{- if and .root.Values.logRelay.enabled (has .s.name (list "gateway" "log-relay")) }}true{{ end -}}
{{- end -}}

{{- /*
The dispatcher obeys the limits, and the gateway shows them. Not if doors have clusters: the dispatchers of each cluster
have limits of their own, and the gateway counts the runs of all.
*/ -}}
{{- define "sluice.readsLimits" -}}
{{- $limited := .root.Values.dispatcher.limits -}}
{{- if and $limited (eq .s.name "gateway") -}}
{{- range .root.Values.kafka.doors }}{{ if .cluster }}{{ $limited = false }}{{ end }}{{ end -}}
{{- else if ne .s.name "dispatcher" -}}
{{- $limited = false -}}
{{- end -}}
{{- if $limited }}true{{ end -}}
{{- end -}}

{{- define "sluice.volumeMounts" -}}
{{- if .s.persistence }}
- {name: data, mountPath: /var/lib/sluice}
{{- end }}
{{- if include "sluice.files" . | fromYaml }}
- {name: config, mountPath: /etc/sluice/config, readOnly: true}
{{- end }}
{{- if include "sluice.readsLimits" . }}
- {name: limits, mountPath: /etc/sluice/limits, readOnly: true}
{{- end }}
{{- if include "sluice.kafkaFiles" . }}
- {name: kafka, mountPath: /etc/sluice/kafka, readOnly: true}
{{- end }}
{{- if include "sluice.identityFiles" . }}
- {name: identity, mountPath: /etc/sluice/identity, readOnly: true}
{{- end }}
{{- if include "sluice.postgresFiles" . }}
- {name: postgres, mountPath: /etc/sluice/postgres, readOnly: true}
{{- end }}
{{- if include "sluice.readsLogs" . }}
- {name: log-relay, mountPath: /etc/sluice/log-relay, readOnly: true}
{{- end }}
{{- with .s.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "sluice.volumes" -}}
{{- if and .s.persistence (not (dig "enabled" false (default dict .s.persistence))) }}
- {name: data, emptyDir: {sizeLimit: {{ .s.persistence.size }}}}
{{- end }}
{{- with include "sluice.files" . | fromYaml }}
- name: config
  configMap:
    name: {{ include "sluice.fullname" $.root }}
    items:
      {{- range $file := keys . | sortAlpha }}
      - {key: {{ $file }}, path: {{ $file }}}
      {{- end }}
{{- end }}
{{- if include "sluice.readsLimits" . }}
- {name: limits, configMap: {name: {{ include "sluice.fullname" .root }}-dispatcher-limits}}
{{- end }}
{{- with include "sluice.kafkaFiles" . | trim }}
- name: kafka
  projected:
    sources: {{- . | nindent 6 }}
{{- end }}
{{- with include "sluice.identityFiles" . | trim }}
- name: identity
  projected:
    sources: {{- . | nindent 6 }}
{{- end }}
{{- with include "sluice.postgresFiles" . | trim }}
- name: postgres
  projected:
    sources: {{- . | nindent 6 }}
{{- end }}
{{- if include "sluice.readsLogs" . }}
{{- with .root.Values.logRelay }}
- name: log-relay
  secret: {secretName: {{ quote .secretName }}, items: [{key: {{ quote .secretKey }}, path: secret}]}
{{- end }}
{{- end }}
{{- with .s.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
