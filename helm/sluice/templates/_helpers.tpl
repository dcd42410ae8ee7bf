{{/* Names and labels. */}}

{{- define "sluice.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* Short enough for the longest ending, so that no two names are cut to one. */ -}}
{{- define "sluice.fullname" -}}
{{- $name := include "sluice.name" . -}}
{{- $joined := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $joined .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* What belongs to the cluster: two releases of one name may live in two namespaces. */ -}}
{{- define "sluice.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "sluice.fullname" .) -}}
{{- end -}}

{{- /* What a release's pods are found by. */ -}}
{{- define "sluice.selector" -}}
app.kubernetes.io/name: {{ include "sluice.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "sluice.labels" -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: sluice
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /*
A service, with everything that the templates need of it: include "sluice.service" (dict "root" $ "name" "gateway") | fromYaml
returns its values on top of `defaults`, and also: name, fullname, account, healthPort, usesApi, scaled, selector, labels.
*/ -}}
{{- define "sluice.service" -}}
{{- $known := dict
  "gateway" (dict "key" "gateway" "healthPort" 8090 "usesApi" false)
  "dispatcher" (dict "key" "dispatcher" "healthPort" 8091 "usesApi" true)
  "status-watcher" (dict "key" "statusWatcher" "healthPort" 8092 "usesApi" true)
  "log-relay" (dict "key" "logRelay" "healthPort" 8095 "usesApi" true "withoutKafka" true) -}}
{{- $facts := get $known .name -}}
{{- $s := mustMergeOverwrite (deepCopy .root.Values.defaults) (deepCopy (get .root.Values $facts.key)) $facts -}}
{{- $fullname := printf "%s-%s" (include "sluice.fullname" .root) .name -}}
{{- $own := ternary $fullname "default" $s.serviceAccount.create -}}
{{- $selector := set (include "sluice.selector" .root | fromYaml) "app.kubernetes.io/component" .name -}}
{{- $autoscaling := or $s.autoscaling $s.keda dict -}}
{{- $_ := mustMergeOverwrite $s (dict
  "name" .name
  "fullname" $fullname
  "account" (default $own $s.serviceAccount.name)
  "scaled" (default false $autoscaling.enabled)
  "most" (ternary (max $autoscaling.maxReplicas $autoscaling.maxReplicaCount) $s.replicas (default false $autoscaling.enabled))
  "selector" $selector
  "labels" (merge (dict) $selector (include "sluice.labels" .root | fromYaml))) -}}
{{- toYaml $s -}}
{{- end -}}

{{- /* The services of this release: a YAML array of their names. */ -}}
{{- define "sluice.services" -}}
{{- $names := list "gateway" "dispatcher" "status-watcher" -}}
{{- if .Values.logRelay.enabled -}}
{{- $names = append $names "log-relay" -}}
{{- end -}}
{{- toYaml $names -}}
{{- end -}}

{{- /* Who the status-watcher and the dispatcher are to the API server. */ -}}
{{- define "sluice.user" -}}
{{- $s := include "sluice.service" . | fromYaml -}}
{{- printf "system:serviceaccount:%s:%s" .root.Release.Namespace $s.account -}}
{{- end -}}

{{- /* A service's image; a tag beside a digest is for people. (dict "root" $ "s" service) */ -}}
{{- define "sluice.image" -}}
{{- $all := .root.Values.image -}}
{{- $its := .s.image -}}
{{- $name := printf "%s/%s" (default $all.registry $its.registry) $its.repository -}}
{{- $released := get $all.digests .s.key -}}
{{- if $its.digest -}}
{{- printf "%s@%s" $name $its.digest -}}
{{- else if or $its.tag (not $released) -}}
{{- printf "%s:%s" $name (coalesce $its.tag $all.tag .root.Chart.AppVersion) -}}
{{- else -}}
{{- printf "%s%s@%s" $name ($all.tag | empty | ternary "" (printf ":%s" $all.tag)) $released -}}
{{- end -}}
{{- end -}}

{{- /* Rules are files, which the tests of a real API server apply as well. "only" is whom a rule for one name means. */ -}}
{{- define "sluice.rules" -}}
{{- $rules := .root.Files.Get (printf "rules/%s.yaml" .name) | fromYamlArray -}}
{{- range $rules -}}
{{- if .resourceNames -}}
{{- $_ := set . "resourceNames" (list (required "whom a rule for one name means" $.only)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}

{{- /* Whether this release has a gateway: another cluster may have the only one (docs/scaling.md). */ -}}
{{- define "sluice.hasGateway" -}}
{{- if gt (int (include "sluice.service" (dict "root" . "name" "gateway") | fromYaml).most) 0 }}yes{{ end -}}
{{- end -}}
