{{/* A Deployment, or a StatefulSet where pods have a name or a volume of their own. */}}

{{- /* (dict "root" $ "s" service "stateful" bool "env" … "ports" …) */ -}}
{{- define "sluice.workload" -}}
apiVersion: apps/v1
kind: {{ ternary "StatefulSet" "Deployment" .stateful }}
metadata:
  name: {{ .s.fullname }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels: {{- toYaml .s.labels | nindent 4 }}
  {{- if .stateful }}
  # Argo CD: after all else is well. A release whose pods crash is noticed at a Deployment, which gives up in time, and
  # never gets as far as this, which never would.
  annotations: {argocd.argoproj.io/sync-wave: "1"}
  {{- end }}
spec:
  {{- if not .s.scaled }}
  replicas: {{ .s.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  selector: {matchLabels: {{ toJson .s.selector }}}
  {{- if .stateful }}
  serviceName: {{ .s.fullname }}-metrics
  # No pod needs another, and none should wait for one that cannot start.
  podManagementPolicy: Parallel
  {{- else }}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  progressDeadlineSeconds: {{ .s.progressDeadlineSeconds }}
  {{- end }}
  template: {{- include "sluice.podTemplate" . | nindent 4 }}
  {{- if dig "enabled" false (default dict .s.persistence) }}
  # There is nothing on it that Kafka does not have.
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Delete}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .s.persistence.storageClassName }}
        storageClassName: {{ quote . }}
        {{- end }}
        resources: {requests: {storage: {{ .s.persistence.size }}}}
  {{- end }}
{{- end -}}
